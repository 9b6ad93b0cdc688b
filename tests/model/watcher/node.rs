//! A node in memory that announces what happens as Bitcoin Core does: removals before what replaced
//! them, descendants first, and none for what a block takes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::hashes::Hash as _;
use bitcoin::pow::CompactTarget;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Witness,
};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_infra::bitcoind::feed::Notice;
use satpost_infra::bitcoind::rpc::{MempoolSnapshot, NodeInfo, NodeRpc, Publication, RpcError};

/// How many blocks there are when the servers begin, block 0 included.
pub(super) const BLOCKS_AT_START: usize = 4;
/// How many scripts are watched; the next ones are not.
pub(super) const WATCHED: u8 = 3;

/// A P2WPKH script; every number has its own.
pub(super) fn script(number: u8) -> ScriptBuf {
    let mut bytes = vec![0x00, 0x14];
    bytes.extend([number; 20]);
    ScriptBuf::from_bytes(bytes)
}

pub(super) fn id(transaction: &Transaction) -> Txid {
    let mut bytes = transaction.compute_txid().to_byte_array();
    bytes.reverse();
    Txid::new(bytes)
}

fn hash(block: &Block) -> BlockHash {
    let mut bytes = block.block_hash().to_byte_array();
    bytes.reverse();
    BlockHash::new(bytes)
}

/// A payment to `to` that spends `coin`; the variants conflict with one another.
pub(super) fn payment(coin: OutPoint, variant: u8, to: u8) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::from_height(u32::from(variant)).unwrap(),
        input: vec![TxIn {
            previous_output: coin,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        }],
        output: vec![TxOut {
            value: Amount::from_sat(1_000),
            script_pubkey: script(to),
        }],
    }
}

/// A coin that has been in the chain for ever.
pub(super) fn old_coin(number: u8) -> OutPoint {
    OutPoint::new(bitcoin::Txid::from_byte_array([0xee; 32]), number.into())
}

/// The node; its announcements are taken out by [`SimNode::announcements`].
pub(super) struct SimNode(Mutex<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    blocks: HashMap<BlockHash, Block>,
    pub(super) best: Vec<BlockHash>,
    /// In the order of their entry: parents before children.
    pub(super) mempool: Vec<Transaction>,
    sequence: u64,
    announced: Vec<Notice>,
    made: u32,
}

impl Inner {
    fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    fn is_confirmed(&self, txid: &bitcoin::Txid) -> bool {
        self.transactions()
            .any(|known| known.compute_txid() == *txid)
    }

    /// The transactions of the best chain.
    fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.best.iter().flat_map(|hash| &self.blocks[hash].txdata)
    }

    fn is_available(&self, coin: &OutPoint) -> bool {
        let exists = coin.txid == old_coin(0).txid
            || self.is_confirmed(&coin.txid)
            || self
                .mempool
                .iter()
                .any(|known| known.compute_txid() == coin.txid);
        exists && !self.transactions().any(|known| spends(known, coin))
    }

    /// Takes a transaction and all its descendants out, the descendants first.
    fn remove(&mut self, transaction: &Transaction) {
        let txid = transaction.compute_txid();
        let children: Vec<Transaction> = self
            .mempool
            .iter()
            .filter(|known| {
                known
                    .input
                    .iter()
                    .any(|input| input.previous_output.txid == txid)
            })
            .cloned()
            .collect();
        for child in children {
            self.remove(&child);
        }
        let before = self.mempool.len();
        self.mempool.retain(|known| known.compute_txid() != txid);
        if self.mempool.len() < before {
            let sequence = self.number();
            self.announced.push(Notice::Removed {
                txid: id(transaction),
                sequence,
            });
        }
    }

    fn remove_conflicts(&mut self, transaction: &Transaction) {
        for input in &transaction.input {
            let conflict = self.mempool.iter().find(|known| {
                spends(known, &input.previous_output)
                    && known.compute_txid() != transaction.compute_txid()
            });
            if let Some(conflict) = conflict.cloned() {
                self.remove(&conflict);
            }
        }
    }

    pub(super) fn accept(&mut self, transaction: &Transaction) {
        let txid = transaction.compute_txid();
        let known = self
            .mempool
            .iter()
            .any(|known| known.compute_txid() == txid);
        let coins = transaction.input.iter().map(|input| &input.previous_output);
        if known || self.is_confirmed(&txid) || !coins.clone().all(|coin| self.is_available(coin)) {
            return;
        }
        self.remove_conflicts(transaction);
        // What it spends may have been a descendant of what it replaces.
        if !transaction
            .input
            .iter()
            .all(|input| self.is_available(&input.previous_output))
        {
            return;
        }
        self.enter(transaction);
    }

    fn enter(&mut self, transaction: &Transaction) {
        self.mempool.push(transaction.clone());
        let sequence = self.number();
        self.announced.push(Notice::Added {
            txid: id(transaction),
            sequence,
            body: Some(Box::new(transaction.clone())),
        });
    }

    pub(super) fn evict(&mut self, number: usize) {
        if let Some(transaction) = self.mempool.get(number).cloned() {
            self.remove(&transaction);
        }
    }

    /// Mines the chosen ones, with all their ancestors, and perhaps one that nobody has seen.
    pub(super) fn mine(&mut self, choice: u8, unseen: Option<Transaction>, pays: u8) {
        let mut chosen: Vec<Transaction> = Vec::new();
        for (place, transaction) in self.mempool.iter().enumerate() {
            let has_parents = transaction.input.iter().all(|input| {
                let parent = input.previous_output.txid;
                !self
                    .mempool
                    .iter()
                    .any(|known| known.compute_txid() == parent)
                    || chosen.iter().any(|known| known.compute_txid() == parent)
            });
            if has_parents && choice & (1 << (place % 8)) != 0 {
                chosen.push(transaction.clone());
            }
        }
        if let Some(unseen) = unseen {
            let txid = unseen.compute_txid();
            let coin = &unseen.input[0].previous_output;
            let is_new = !self.is_confirmed(&txid)
                && self.is_available(coin)
                && !self
                    .mempool
                    .iter()
                    .any(|known| known.compute_txid() == txid || known.compute_txid() == coin.txid)
                && !chosen.iter().any(|known| spends(known, coin));
            if is_new {
                chosen.push(unseen);
            }
        }
        self.connect(chosen, pays);
    }

    fn connect(&mut self, chosen: Vec<Transaction>, pays: u8) {
        self.made += 1;
        let mut txdata = vec![coinbase(self.made, pays)];
        txdata.extend(chosen);
        let previous = self
            .best
            .last()
            .map_or(bitcoin::BlockHash::all_zeros(), |hash| {
                self.blocks[hash].block_hash()
            });
        let block = Block {
            header: Header {
                version: BlockVersion::TWO,
                prev_blockhash: previous,
                merkle_root: TxMerkleNode::all_zeros(),
                time: self.made,
                bits: CompactTarget::from_consensus(0),
                nonce: self.made,
            },
            txdata,
        };
        let hash = hash(&block);
        for transaction in &block.txdata[1..] {
            let txid = transaction.compute_txid();
            if self
                .mempool
                .iter()
                .any(|known| known.compute_txid() == txid)
            {
                self.mempool.retain(|known| known.compute_txid() != txid);
                // A number without an announcement.
                self.number();
            }
            self.remove_conflicts(transaction);
        }
        self.blocks.insert(hash, block);
        self.best.push(hash);
        self.announced.push(Notice::Connected(hash));
    }

    /// The last blocks become stale. Their transactions return, except every `lost`th and those
    /// that depend on it.
    pub(super) fn reorganise(&mut self, depth: usize, least: usize, lost: usize) {
        let keep = self.best.len().saturating_sub(depth).max(least);
        let stale = self.best.split_off(keep.min(self.best.len()));
        let mut returning = Vec::new();
        for hash in stale.iter().rev() {
            self.announced.push(Notice::Disconnected(*hash));
            let transactions = self.blocks[hash].txdata[1..].to_vec();
            returning.splice(0..0, transactions);
        }
        // What spends a coinbase of a stale block, or what does not return, goes as well.
        let waiting = std::mem::take(&mut self.mempool);
        let mut place = 0;
        for transaction in returning {
            place += 1;
            let coin = &transaction.input[0].previous_output;
            if (lost > 0 && place % lost == 0) || !self.is_available(coin) {
                continue;
            }
            self.enter(&transaction);
        }
        for transaction in waiting {
            let coin = &transaction.input[0].previous_output;
            let available =
                self.is_available(coin) && !self.mempool.iter().any(|known| spends(known, coin));
            if available {
                self.mempool.push(transaction);
            } else {
                let sequence = self.number();
                self.announced.push(Notice::Removed {
                    txid: id(&transaction),
                    sequence,
                });
            }
        }
    }

    /// The process begins anew: it counts from 1, and has lost its mempool or announced it to nobody.
    pub(super) fn restart(&mut self, keeps_mempool: bool) {
        self.announced.clear();
        if !keeps_mempool {
            self.mempool.clear();
        }
        self.sequence = 1 + self.mempool.len() as u64;
    }

    /// The transactions of a block, whether it is in the best chain or not.
    pub(super) fn transactions_in(&self, hash: &BlockHash) -> Vec<Txid> {
        self.blocks[hash].txdata.iter().map(id).collect()
    }

    pub(super) fn place_of(&self, txid: &Txid) -> Option<(u32, BlockHash)> {
        (0..).zip(&self.best).find_map(|(height, hash)| {
            let mut transactions = self.blocks[hash].txdata.iter();
            transactions
                .any(|known| id(known) == *txid)
                .then_some((height, *hash))
        })
    }

    /// Every transaction that exists now and pays to a watched script.
    pub(super) fn watched(&self) -> BTreeSet<Txid> {
        let all = self.transactions().chain(&self.mempool);
        all.filter(|known| {
            known
                .output
                .iter()
                .any(|output| (0..WATCHED).any(|number| output.script_pubkey == script(number)))
        })
        .map(id)
        .collect()
    }
}

fn spends(transaction: &Transaction, coin: &OutPoint) -> bool {
    transaction
        .input
        .iter()
        .any(|input| input.previous_output == *coin)
}

fn coinbase(number: u32, pays: u8) -> Transaction {
    let mut transaction = payment(OutPoint::null(), 0, pays);
    transaction.lock_time = LockTime::from_height(number).unwrap();
    transaction
}

impl SimNode {
    /// A node with a few empty blocks.
    pub(super) fn new(genesis: Block) -> Self {
        let mut inner = Inner {
            sequence: 1,
            ..Inner::default()
        };
        let hash = hash(&genesis);
        inner.blocks.insert(hash, genesis);
        inner.best.push(hash);
        for _ in 1..BLOCKS_AT_START {
            inner.connect(Vec::new(), 200);
        }
        inner.announced.clear();
        Self(Mutex::new(inner))
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// What was announced since the last call.
    pub(super) fn announcements(&self) -> Vec<Notice> {
        std::mem::take(&mut self.inner().announced)
    }
}

#[async_trait]
impl NodeRpc for SimNode {
    async fn info(&self) -> Result<NodeInfo, RpcError> {
        let blocks = u32::try_from(self.inner().best.len() - 1).unwrap();
        Ok(NodeInfo {
            network: "regtest".to_owned(),
            version: 290_000,
            subversion: "/Model/".to_owned(),
            blocks,
            headers: blocks,
            initial_download: false,
            uptime_secs: 1,
        })
    }

    async fn publications(&self) -> Result<Vec<Publication>, RpcError> {
        Ok(Vec::new())
    }

    async fn best_block(&self) -> Result<BlockHash, RpcError> {
        Ok(*self.inner().best.last().unwrap())
    }

    async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, RpcError> {
        Ok(self.inner().best.get(height as usize).copied())
    }

    async fn is_in_best_chain(&self, hash: BlockHash) -> Result<bool, RpcError> {
        Ok(self.inner().best.contains(&hash))
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, RpcError> {
        Ok(self.inner().blocks[&hash].clone())
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, RpcError> {
        let inner = self.inner();
        Ok(MempoolSnapshot {
            txids: inner.mempool.iter().map(id).collect(),
            sequence: inner.sequence,
        })
    }

    async fn mempool_size(&self) -> Result<usize, RpcError> {
        Ok(self.inner().mempool.len())
    }

    async fn transactions(&self, txids: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError> {
        let inner = self.inner();
        let find = |txid: &Txid| {
            inner
                .mempool
                .iter()
                .find(|known| id(known) == *txid)
                .cloned()
        };
        Ok(txids.iter().map(find).collect())
    }

    async fn mempool_ancestors(&self, txid: Txid) -> Result<Vec<Txid>, RpcError> {
        let inner = self.inner();
        let mut family = vec![txid];
        let mut place = 0;
        while let Some(member) = family.get(place).copied() {
            place += 1;
            let known = inner.mempool.iter().find(|known| id(known) == member);
            for input in known.into_iter().flat_map(|known| &known.input) {
                let parent = inner
                    .mempool
                    .iter()
                    .find(|known| known.compute_txid() == input.previous_output.txid);
                if let Some(parent) = parent.map(id).filter(|parent| !family.contains(parent)) {
                    family.push(parent);
                }
            }
        }
        Ok(family.split_off(1))
    }
}
