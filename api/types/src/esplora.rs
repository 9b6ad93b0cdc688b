//! The shapes of the Esplora HTTP API, as its clients read them: names, order and absent members are
//! those of the servers that came before. Hashes are text in display order, amounts are satoshi.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a transaction is. Of one that is in no block, only `confirmed` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStatus {
    /// True when it is in a block of the best chain.
    pub confirmed: bool,
    /// The height of that block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_height: Option<u32>,
    /// Its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// Its time as its miner claims it, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_time: Option<u32>,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Its id.
    pub txid: String,
    /// Its version; a negative one stands here as its 32 bits.
    pub version: u32,
    /// Its lock time.
    pub locktime: u32,
    /// What it spends.
    pub vin: Vec<Input>,
    /// What it pays.
    pub vout: Vec<Output>,
    /// Its size in bytes, witnesses included.
    pub size: usize,
    /// Its weight in units.
    pub weight: u64,
    /// What it leaves to the miner; 0 for a coinbase.
    pub fee: u64,
    /// Where it is.
    pub status: TransactionStatus,
}

/// An input of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The transaction whose output is spent; zeros for a coinbase.
    pub txid: String,
    /// Which output; 4294967295 for a coinbase.
    pub vout: u32,
    /// The output that is spent; null for a coinbase.
    pub prevout: Option<Output>,
    /// The unlocking script in hexadecimal.
    pub scriptsig: String,
    /// The same as words.
    pub scriptsig_asm: String,
    /// The witness in hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witness: Vec<String>,
    /// True for the input of a coinbase.
    pub is_coinbase: bool,
    /// The sequence number.
    pub sequence: u32,
    /// The script inside a P2SH spend, as words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_redeemscript_asm: Option<String>,
    /// The script inside a P2WSH or taproot script spend, as words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_witnessscript_asm: Option<String>,
}

/// An output of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The locking script in hexadecimal.
    pub scriptpubkey: String,
    /// The same as words.
    pub scriptpubkey_asm: String,
    /// What kind of script it is, like `v0_p2wpkh`.
    pub scriptpubkey_type: String,
    /// Its address, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scriptpubkey_address: Option<String>,
    /// What it holds.
    pub value: u64,
}

/// Whether an output is spent, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpend {
    /// True when it is.
    pub spent: bool,
    /// The transaction that spends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
    /// Which of its inputs does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vin: Option<u32>,
    /// Where that transaction is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TransactionStatus>,
}

/// How to check, with the block's header alone, that a transaction is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleProof {
    /// The height of the block.
    pub block_height: u32,
    /// The hashes beside the path from the transaction to the root, from the bottom.
    pub merkle: Vec<String>,
    /// The transaction's place in the block.
    pub pos: usize,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Its hash.
    pub id: String,
    /// Its height.
    pub height: u32,
    /// Its version; a negative one stands here as its 32 bits.
    pub version: u32,
    /// Its time as its miner claims it, in Unix seconds.
    pub timestamp: u32,
    /// How many transactions it has.
    pub tx_count: usize,
    /// Its size in bytes.
    pub size: u64,
    /// Its weight in units.
    pub weight: u64,
    /// The root of the tree of its transactions.
    pub merkle_root: String,
    /// The block before it; null for the genesis block.
    pub previousblockhash: Option<String>,
    /// The median time of itself and the ten blocks before it.
    pub mediantime: u32,
    /// The nonce.
    pub nonce: u32,
    /// The target in its compact form.
    pub bits: u32,
    /// How much harder than the easiest target.
    pub difficulty: f64,
}

/// Whether a block is in the best chain. All three of a block that is not, also of an unknown one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStatus {
    /// True when it is.
    pub in_best_chain: bool,
    /// Its height.
    pub height: Option<u32>,
    /// The block on it.
    pub next_best: Option<String>,
}

/// What transactions did with a script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptTotals {
    /// How many transactions touch it.
    pub tx_count: u64,
    /// How many outputs pay to it.
    pub funded_txo_count: u64,
    /// How much they hold together.
    pub funded_txo_sum: u64,
    /// How many of them are spent.
    pub spent_txo_count: u64,
    /// How much those held together.
    pub spent_txo_sum: u64,
}

/// An output that is not spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utxo {
    /// The transaction it is in.
    pub txid: String,
    /// Which output.
    pub vout: u32,
    /// Where the transaction is.
    pub status: TransactionStatus,
    /// What it holds.
    pub value: u64,
}

/// The mempool in figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mempool {
    /// How many transactions are in it.
    pub count: usize,
    /// How large they are together, in virtual bytes.
    pub vsize: u64,
    /// What they leave to miners together.
    pub total_fee: u64,
    /// Fee rate in sat/vB, and the virtual bytes that pay it or more but less than the entry before.
    pub fee_histogram: Vec<(f64, u64)>,
}

/// A transaction that came into the mempool lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentTransaction {
    /// Its id.
    pub txid: String,
    /// What it leaves to the miner.
    pub fee: u64,
    /// Its size in virtual bytes.
    pub vsize: u64,
    /// What its outputs hold together.
    pub value: u64,
}

/// Fee rates in sat/vB by the number of blocks that a transaction may wait.
pub type FeeEstimates = BTreeMap<u16, f64>;

/// `GET /v1/fees/recommended`: fee rates in whole sat/vB, as wallets offer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecommendedFees {
    /// For the next block.
    pub fastest_fee: u64,
    /// For within three blocks.
    pub half_hour_fee: u64,
    /// For within six blocks.
    pub hour_fee: u64,
    /// For within a week.
    pub economy_fee: u64,
    /// The least that the node takes.
    pub minimum_fee: u64,
}

/// `GET /v1/validate-address/{address}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatedAddress {
    /// True when it is an address of this network.
    pub isvalid: bool,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its script in hexadecimal.
    #[serde(rename = "scriptPubKey", skip_serializing_if = "Option::is_none")]
    pub script_pubkey: Option<String>,
    /// True for P2SH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isscript: Option<bool>,
    /// True for segregated witness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iswitness: Option<bool>,
    /// The version of its witness program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_version: Option<u8>,
    /// Its witness program in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_program: Option<String>,
}
