//! Transactions without signatures, and blocks full of them.
//!
//! The coins pay to a witness script that anybody fulfils with one item of 72 bytes, so that a spend
//! has about the size of one with a signature and costs no processor time to make.

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, transaction,
};
use serde_json::json;

use super::node::{Node, text};
use super::synthetic::{self, Numbers};
use crate::bench::BenchError;

/// OP_DROP OP_TRUE.
const WITNESS_SCRIPT: [u8; 2] = [0x75, 0x51];
/// The length of a signature.
const ITEM_BYTES: usize = 72;
/// What a transaction leaves to the miner, in satoshi.
const FEE_SAT: u64 = 1_000;
/// What a payment is worth, in satoshi: more than dust.
const PAYMENT_SAT: u64 = 1_000;
/// How many transactions of one input and two outputs fill a block, nearly.
pub(super) const TRANSACTIONS_PER_BLOCK: usize = 6_700;
/// How many scripts are watched on the node.
pub(super) const WATCHED: u64 = 1_000;
/// How many transactions of a full block pay to a watched script.
const HITS_PER_BLOCK: usize = 10;
/// A coinbase can be spent when 100 blocks stand on it; one for each fan-out.
const FIRST_BLOCKS: usize = 120;
/// The subsidy of the first blocks, in satoshi.
const SUBSIDY_SAT: u64 = 50 * 100_000_000;

/// An output that anybody can spend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coin {
    outpoint: OutPoint,
    value_sat: u64,
}

/// The script of the coins.
fn coin_script() -> ScriptBuf {
    ScriptBuf::from_bytes(WITNESS_SCRIPT.to_vec()).to_p2wsh()
}

/// What the node calls it.
pub(super) fn descriptor() -> String {
    format!("raw({})", coin_script().to_hex_string())
}

fn spend(coin: Coin, output: Vec<TxOut>) -> Transaction {
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: coin.outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::from_slice(&[&[0; ITEM_BYTES][..], &WITNESS_SCRIPT]),
        }],
        output,
    }
}

/// Pays to the script with this number and back to a coin, which stands in the place of the old one.
pub(super) fn pay(coin: &mut Coin, number: u64) -> Transaction {
    let value_sat = coin.value_sat - PAYMENT_SAT - FEE_SAT;
    let outputs = [
        (coin_script(), value_sat),
        (synthetic::script(number), PAYMENT_SAT),
    ];
    let outputs = outputs.map(|(script_pubkey, value)| TxOut {
        value: Amount::from_sat(value),
        script_pubkey,
    });
    let transaction = spend(*coin, outputs.to_vec());
    *coin = Coin {
        outpoint: OutPoint::new(transaction.compute_txid(), 0),
        value_sat,
    };
    transaction
}

/// Full blocks on a node, and coins for more.
pub(super) struct FullChain {
    /// The height below the first full block.
    pub(super) base: u32,
    /// How many full blocks there are.
    pub(super) count: usize,
    /// Confirmed coins.
    pub(super) coins: Vec<Coin>,
}

impl FullChain {
    /// Mines the first coins and then `count` full blocks, each spending the coins of the one before.
    pub(super) fn make(node: &mut Node, count: usize) -> Result<Self, BenchError> {
        let to = descriptor();
        node.call("generatetodescriptor", &[json!(FIRST_BLOCKS), json!(to)])?;
        let mut coins = fan_out(node, 1)?;
        let base = node.call("getblockcount", &[])?.as_u64().unwrap_or(0);
        let base = u32::try_from(base).unwrap_or(0);
        let mut numbers = Numbers(1);
        for _ in 0..count {
            let payments = coins.iter_mut().enumerate().map(|(place, coin)| {
                let number = if place < HITS_PER_BLOCK {
                    numbers.next() % WATCHED
                } else {
                    WATCHED + (numbers.next() >> 1)
                };
                serialize_hex(&pay(coin, number))
            });
            let payments: Vec<String> = payments.collect();
            node.generate(&to, &payments)?;
        }
        Ok(Self { base, count, coins })
    }
}

/// Makes coins of the coinbase at `height`.
pub(super) fn fan_out(node: &Node, height: u32) -> Result<Vec<Coin>, BenchError> {
    let hash = node.call("getblockhash", &[json!(height)])?;
    let block = node.call("getblock", &[hash, json!(1)])?;
    let coinbase: Txid = text(&block["tx"][0])?
        .parse()
        .map_err(BenchError::of("the node"))?;
    let first = Coin {
        outpoint: OutPoint::new(coinbase, 0),
        value_sat: SUBSIDY_SAT,
    };
    let value_sat = SUBSIDY_SAT / TRANSACTIONS_PER_BLOCK as u64;
    let output = TxOut {
        value: Amount::from_sat(value_sat),
        script_pubkey: coin_script(),
    };
    let transaction = spend(first, vec![output; TRANSACTIONS_PER_BLOCK]);
    node.generate(&descriptor(), &[serialize_hex(&transaction)])?;
    let txid = transaction.compute_txid();
    let coins = (0..).take(TRANSACTIONS_PER_BLOCK).map(|vout| Coin {
        outpoint: OutPoint::new(txid, vout),
        value_sat,
    });
    Ok(coins.collect())
}
