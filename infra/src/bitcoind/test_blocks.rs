//! Blocks for tests, made with the `bitcoin` crate.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{VarInt, serialize};
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, ScriptBuf, Transaction, TxIn, TxMerkleNode, TxOut,
    transaction,
};
use satpost_domain::chain::OutPoint;

use super::convert;
use super::rpc::RawBlock;

/// Pays `outputs` of (script, satoshi) from `coins`.
pub(super) fn transaction(coins: &[OutPoint], outputs: &[(&[u8], u64)]) -> Transaction {
    let input = |coin: &OutPoint| TxIn {
        previous_output: format!("{}:{}", coin.txid, coin.vout).parse().unwrap(),
        ..TxIn::default()
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: coins.iter().map(input).collect(),
        output: outputs.iter().copied().map(output).collect(),
    }
}

/// The first transaction of a block, which pays to nobody; no two with the same `number` are equal.
pub(super) fn coinbase(number: u32) -> Transaction {
    let mut transaction = transaction(&[], &[(&[0x51], 50)]);
    transaction.input.push(TxIn {
        script_sig: ScriptBuf::from_bytes(number.to_le_bytes().to_vec()),
        ..TxIn::default()
    });
    transaction
}

pub(super) fn output((script, value_sat): (&[u8], u64)) -> TxOut {
    TxOut {
        value: Amount::from_sat(value_sat),
        script_pubkey: ScriptBuf::from_bytes(script.to_vec()),
    }
}

/// Where the output `vout` of `transaction` is.
pub(super) fn coin(transaction: &Transaction, vout: u32) -> OutPoint {
    OutPoint {
        txid: convert::txid(transaction.compute_txid()),
        vout,
    }
}

/// A block of these on `previous`, by the time 7.
pub(super) fn block(previous: BlockHash, transactions: Vec<Transaction>) -> Block {
    Block {
        header: Header {
            version: Version::TWO,
            prev_blockhash: previous,
            merkle_root: TxMerkleNode::all_zeros(),
            time: 7,
            bits: CompactTarget::from_consensus(0),
            nonce: 0,
        },
        txdata: transactions,
    }
}

/// The block as the node sends it, with what its transactions spend unless the node is too old.
pub(super) fn raw(block: &Block, spent: Option<&[Vec<TxOut>]>) -> RawBlock {
    RawBlock {
        hash: convert::block_hash(block.block_hash()),
        bytes: serialize(block).into(),
        spent: spent.map(|spent| encode_spent(spent).into()),
    }
}

/// What `/rest/spenttxouts` answers.
pub(super) fn encode_spent(spent: &[Vec<TxOut>]) -> Vec<u8> {
    let mut bytes = serialize(&VarInt::from(spent.len()));
    for outputs in spent {
        bytes.extend(serialize(outputs));
    }
    bytes
}
