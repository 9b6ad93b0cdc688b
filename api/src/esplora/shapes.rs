//! From Bitcoin's types to the shapes that clients of Esplora read.

use bitcoin::hashes::Hash as _;
use bitcoin::{Address, Network, OutPoint, TxIn, TxOut};
use satpost_api_types::esplora::{
    Block, Input, Output, OutputSpend, RecentTransaction, Transaction, TransactionStatus, Utxo,
};

use super::ports::{
    BlockPlace, BlockSummary, FoundTransaction, MempoolTransaction, Spend, Unspent,
};
use super::script_text::{inner_scripts, kind};

/// Where a transaction is.
pub(super) fn status(place: Option<&BlockPlace>) -> TransactionStatus {
    TransactionStatus {
        confirmed: place.is_some(),
        block_height: place.map(|place| place.height),
        block_hash: place.map(|place| place.hash.to_string()),
        block_time: place.map(|place| place.time),
    }
}

/// A transaction.
pub(super) fn transaction(found: &FoundTransaction, network: Network) -> Transaction {
    let body = &found.transaction;
    let prevouts = found.prevouts.as_ref();
    let paid: u64 = body.output.iter().map(|output| output.value.to_sat()).sum();
    let spent: u64 = prevouts.iter().map(|output| output.value.to_sat()).sum();
    let inputs = body.input.iter().enumerate();
    Transaction {
        txid: found.txid.to_string(),
        version: body.version.0.cast_unsigned(),
        locktime: body.lock_time.to_consensus_u32(),
        vin: inputs
            .map(|(index, vin)| input(vin, prevouts.get(index), network))
            .collect(),
        vout: body
            .output
            .iter()
            .map(|vout| output(vout, network))
            .collect(),
        size: body.total_size(),
        weight: body.weight().to_wu(),
        // A coinbase takes fees instead of leaving one.
        fee: if body.is_coinbase() {
            0
        } else {
            spent.saturating_sub(paid)
        },
        status: status(found.place.as_ref()),
    }
}

fn input(vin: &TxIn, prevout: Option<&TxOut>, network: Network) -> Input {
    let (redeem, witness_script) =
        prevout.map_or((None, None), |prevout| inner_scripts(vin, prevout));
    Input {
        txid: vin.previous_output.txid.to_string(),
        vout: vin.previous_output.vout,
        prevout: prevout.map(|prevout| output(prevout, network)),
        scriptsig: vin.script_sig.to_hex_string(),
        scriptsig_asm: vin.script_sig.to_asm_string(),
        witness: vin.witness.iter().map(hex::encode).collect(),
        is_coinbase: vin.previous_output == OutPoint::null(),
        sequence: vin.sequence.0,
        inner_redeemscript_asm: redeem,
        inner_witnessscript_asm: witness_script,
    }
}

fn output(vout: &TxOut, network: Network) -> Output {
    let script = &vout.script_pubkey;
    Output {
        scriptpubkey: script.to_hex_string(),
        scriptpubkey_asm: script.to_asm_string(),
        scriptpubkey_type: kind(script).to_owned(),
        scriptpubkey_address: Address::from_script(script, network)
            .ok()
            .map(|address| address.to_string()),
        value: vout.value.to_sat(),
    }
}

/// A block.
pub(super) fn block(summary: &BlockSummary) -> Block {
    let header = &summary.header;
    let previous = header.prev_blockhash;
    let is_genesis = previous.to_byte_array() == [0; 32];
    Block {
        id: summary.hash.to_string(),
        height: summary.height,
        version: header.version.to_consensus().cast_unsigned(),
        timestamp: header.time,
        tx_count: summary.txids.len(),
        size: summary.size,
        weight: summary.weight,
        merkle_root: header.merkle_root.to_string(),
        previousblockhash: (!is_genesis).then(|| previous.to_string()),
        mediantime: summary.median_time,
        nonce: header.nonce,
        bits: header.bits.to_consensus(),
        difficulty: summary.difficulty,
    }
}

/// Whether an output is spent.
pub(super) fn spend(spend: Option<&Spend>) -> OutputSpend {
    OutputSpend {
        spent: spend.is_some(),
        txid: spend.map(|spend| spend.txid.to_string()),
        vin: spend.map(|spend| spend.vin),
        status: spend.map(|spend| status(spend.place.as_ref())),
    }
}

/// An unspent output.
pub(super) fn utxo(unspent: &Unspent) -> Utxo {
    Utxo {
        txid: unspent.outpoint.txid.to_string(),
        vout: unspent.outpoint.vout,
        status: status(unspent.place.as_ref()),
        value: unspent.value_sat,
    }
}

/// A transaction of the mempool.
pub(super) fn recent(transaction: &MempoolTransaction) -> RecentTransaction {
    RecentTransaction {
        txid: transaction.txid.to_string(),
        fee: transaction.fee_sat,
        vsize: transaction.vsize,
        value: transaction.value_sat,
    }
}
