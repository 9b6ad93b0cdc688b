//! A node in memory with a past: blocks with payments of several inputs and outputs, a mempool, stale
//! branches, and blocks that it forgets. What it answers was true at some moment of the call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::constants::genesis_block;
use bitcoin::hashes::Hash as _;
use bitcoin::pow::CompactTarget;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Witness,
};
use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::script::Script;
use satpost_tests::random::Random;

mod answers;

/// How many scripts the wallet may watch; the next ones belong to nobody who watches.
pub(super) const OURS: u8 = 4;
/// How many scripts are paid to.
pub(super) const SCRIPTS: u8 = 6;
/// How many blocks a node keeps that forgets old ones.
const KEPT: usize = 16;
/// The time of the first block after the genesis block, in Unix seconds.
const FIRST_BLOCK_SECS: u32 = 1_300_000_000;
/// Between two blocks.
const BLOCK_SECS: u32 = 3_600;

/// A P2WPKH script; every number has its own.
pub(super) fn script(number: u8) -> Script {
    let mut bytes = vec![0x00, 0x14];
    bytes.extend([number; 20]);
    Script::new(&bytes).unwrap()
}

/// A transaction with what is asked of it most.
#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) txid: Txid,
    pub(super) inputs: Vec<OutPoint>,
    body: Transaction,
}

impl Payment {
    fn new(body: Transaction) -> Self {
        let mut txid = body.compute_txid().to_byte_array();
        txid.reverse();
        let inputs = body.input.iter().map(|input| {
            let outpoint = input.previous_output;
            let mut txid = outpoint.txid.to_byte_array();
            txid.reverse();
            OutPoint {
                txid: Txid::new(txid),
                vout: outpoint.vout,
            }
        });
        Self {
            txid: Txid::new(txid),
            inputs: inputs.filter(|input| input.vout != u32::MAX).collect(),
            body,
        }
    }

    /// The outputs with the hashes of their scripts.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (OutPoint, ScriptHash, u64)> + '_ {
        (0..).zip(&self.body.output).map(|(vout, output)| {
            let script = Script::new(output.script_pubkey.as_bytes()).unwrap();
            let txid = self.txid;
            (
                OutPoint { txid, vout },
                script.hash(),
                output.value.to_sat(),
            )
        })
    }

    fn spends(&self, outpoint: &OutPoint) -> bool {
        self.inputs.contains(outpoint)
    }
}

/// A block with its place.
pub(super) struct Mined {
    pub(super) at: BlockRef,
    previous: BlockHash,
    header: Header,
    pub(super) payments: Vec<Payment>,
}

/// What a node is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// It tells what the transactions of a block spend.
    pub(super) tells_spends: bool,
    /// It has block filters.
    pub(super) has_filters: bool,
    /// How its answers are delayed.
    pub(super) seed: u64,
}

/// The node.
pub(super) struct PastNode(Mutex<Inner>);

pub(super) struct Inner {
    pub(super) kind: Kind,
    blocks: HashMap<BlockHash, Mined>,
    pub(super) best: Vec<BlockHash>,
    /// In the order of their entry: parents before children.
    pub(super) mempool: Vec<Payment>,
    /// The first block that it still has.
    pub(super) pruned_below: usize,
    outputs: HashMap<OutPoint, TxOut>,
    made: u32,
    dice: Random,
}

impl Inner {
    pub(super) fn tip(&self) -> BlockRef {
        self.block_at(self.best.len() - 1)
    }

    fn block_at(&self, height: usize) -> BlockRef {
        self.blocks[&self.best[height]].at
    }

    /// The blocks from the genesis block to `tip`, whether that is a stale one or not.
    pub(super) fn branch(&self, tip: BlockHash) -> Vec<&Mined> {
        let mut branch = Vec::new();
        let mut next = self.blocks.get(&tip);
        while let Some(block) = next {
            branch.push(block);
            next = self.blocks.get(&block.previous);
        }
        branch.reverse();
        branch
    }

    /// The unspent outputs of the best chain with the height and whether a coinbase made them.
    pub(super) fn unspent(&self) -> BTreeMap<OutPoint, (u32, bool)> {
        let mut unspent = BTreeMap::new();
        for hash in &self.best {
            let block = &self.blocks[hash];
            for (index, payment) in block.payments.iter().enumerate() {
                for input in &payment.inputs {
                    unspent.remove(input);
                }
                for (outpoint, ..) in payment.outputs() {
                    unspent.insert(outpoint, (block.at.height, index == 0));
                }
            }
        }
        unspent
    }

    // ---- the mempool --------------------------------------------------------------------------

    /// Pays what is spendable, the newest first: `coins` says which coins by their places, `to` which
    /// scripts.
    pub(super) fn pay(&mut self, coins: &[u8], to: &[u8]) {
        let spent: HashSet<OutPoint> = self
            .mempool
            .iter()
            .flat_map(|payment| payment.inputs.clone())
            .collect();
        let confirmed = self.unspent();
        let waiting = self.mempool.iter().flat_map(Payment::outputs);
        let mut spendable: Vec<OutPoint> = confirmed
            .iter()
            .map(|(outpoint, (height, _))| (*height, *outpoint))
            .chain(waiting.map(|(outpoint, ..)| (u32::MAX, outpoint)))
            .filter(|(_, outpoint)| !spent.contains(outpoint))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .rev()
            .map(|(_, outpoint)| outpoint)
            .collect();
        let mut inputs = Vec::new();
        for coin in coins {
            if !spendable.is_empty() {
                inputs.push(spendable.remove(usize::from(*coin) % spendable.len()));
            }
        }
        let value: u64 = inputs
            .iter()
            .map(|coin| self.outputs[coin].value.to_sat())
            .sum();
        let each = value / to.len() as u64;
        if inputs.is_empty() || each < 1_000 {
            return;
        }
        let payment = self.payment(&inputs, to, each);
        self.mempool.push(payment);
    }

    fn payment(&mut self, inputs: &[OutPoint], to: &[u8], each: u64) -> Payment {
        self.made += 1;
        let input = |coin: &OutPoint| TxIn {
            previous_output: format!("{}:{}", coin.txid, coin.vout).parse().unwrap(),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        };
        let mut body = Transaction {
            version: Version::TWO,
            lock_time: LockTime::from_height(self.made).unwrap(),
            input: inputs.iter().map(input).collect(),
            output: Vec::new(),
        };
        for (number, to) in (0..).zip(to) {
            body.output.push(TxOut {
                value: Amount::from_sat(each - number),
                script_pubkey: ScriptBuf::from_bytes(script(*to).as_bytes().to_vec()),
            });
        }
        self.known(body)
    }

    fn known(&mut self, body: Transaction) -> Payment {
        let payment = Payment::new(body);
        for (vout, output) in (0..).zip(&payment.body.output) {
            let txid = payment.txid;
            self.outputs.insert(OutPoint { txid, vout }, output.clone());
        }
        payment
    }

    /// Drops a transaction with all its descendants.
    pub(super) fn evict(&mut self, number: u8) {
        if !self.mempool.is_empty() {
            self.mempool
                .remove(usize::from(number) % self.mempool.len());
            self.drop_what_cannot_confirm();
        }
    }

    /// Another payment of the same coins takes the place of one that waits.
    pub(super) fn replace(&mut self, number: u8, to: u8) {
        if self.mempool.is_empty() {
            return;
        }
        let place = usize::from(number) % self.mempool.len();
        let replaced = self.mempool.remove(place);
        let value: u64 = replaced
            .body
            .output
            .iter()
            .map(|output| output.value.to_sat())
            .sum();
        let payment = self.payment(&replaced.inputs, &[to], value - 1);
        self.mempool.push(payment);
        self.drop_what_cannot_confirm();
    }

    fn drop_what_cannot_confirm(&mut self) {
        let mut available: HashSet<OutPoint> = self.unspent().into_keys().collect();
        self.mempool.retain(|payment| {
            let fits = payment.inputs.iter().all(|input| available.remove(input));
            if fits {
                available.extend(payment.outputs().map(|(outpoint, ..)| outpoint));
            }
            fits
        });
    }

    // ---- blocks -------------------------------------------------------------------------------

    /// Mines those that `choice` names, with their ancestors; the coinbase pays to script `pays`.
    pub(super) fn mine(&mut self, choice: u8, pays: u8) {
        let mut chosen: Vec<Payment> = Vec::new();
        for (place, payment) in self.mempool.iter().enumerate() {
            let waits_for = |input: &OutPoint| {
                let parent = |known: &Payment| known.txid == input.txid;
                self.mempool.iter().any(parent) && !chosen.iter().any(parent)
            };
            if choice & (1 << (place % 8)) != 0 && !payment.inputs.iter().any(waits_for) {
                chosen.push(payment.clone());
            }
        }
        self.mempool
            .retain(|known| chosen.iter().all(|payment| payment.txid != known.txid));
        self.connect(chosen, pays);
    }

    fn connect(&mut self, chosen: Vec<Payment>, pays: u8) {
        self.made += 1;
        let coinbase = Transaction {
            version: Version::TWO,
            lock_time: LockTime::from_height(self.made).unwrap(),
            input: vec![TxIn::default()],
            output: vec![TxOut {
                value: Amount::from_sat(5_000_000),
                script_pubkey: ScriptBuf::from_bytes(script(pays).as_bytes().to_vec()),
            }],
        };
        let mut payments = vec![self.known(coinbase)];
        payments.extend(chosen);
        let tip = &self.blocks[self.best.last().unwrap()];
        let header = Header {
            version: BlockVersion::TWO,
            prev_blockhash: tip.header.block_hash(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: FIRST_BLOCK_SECS + self.made * BLOCK_SECS,
            bits: CompactTarget::from_consensus(0),
            nonce: self.made,
        };
        let (previous, height) = (tip.at.hash, tip.at.height + 1);
        self.add(header, previous, height, payments);
    }

    fn add(&mut self, header: Header, previous: BlockHash, height: u32, payments: Vec<Payment>) {
        let mut bytes = header.block_hash().to_byte_array();
        bytes.reverse();
        let hash = BlockHash::new(bytes);
        let at = BlockRef { height, hash };
        let block = Mined {
            at,
            previous,
            header,
            payments,
        };
        self.blocks.insert(hash, block);
        self.best.push(hash);
    }

    /// The last blocks become stale, as far as it has blocks and down to height `least`. Their
    /// transactions return, except every `lost`th, if they still can.
    pub(super) fn reorganise(&mut self, depth: usize, least: usize, lost: usize) {
        let least = self.pruned_below.max(least).max(1) + 1;
        let keep = self.best.len().saturating_sub(depth).max(least);
        let stale = self.best.split_off(keep.min(self.best.len()));
        let returning = stale
            .iter()
            .flat_map(|hash| self.blocks[hash].payments[1..].iter().cloned());
        let returning: Vec<Payment> = (1..)
            .zip(returning)
            .filter(|(place, _)| lost == 0 || place % lost != 0)
            .map(|(_, payment)| payment)
            .collect();
        self.mempool.splice(0..0, returning);
        self.drop_what_cannot_confirm();
    }

    /// Forgets the blocks below `height`, but not the last ones.
    pub(super) fn prune(&mut self, height: usize) {
        let below = height.min(self.best.len().saturating_sub(KEPT));
        self.pruned_below = self.pruned_below.max(below);
    }
}

impl PastNode {
    /// A node with a few empty blocks.
    pub(super) fn new(kind: Kind) -> Self {
        let mut inner = Inner {
            kind,
            blocks: HashMap::new(),
            best: Vec::new(),
            mempool: Vec::new(),
            pruned_below: 0,
            outputs: HashMap::new(),
            made: 0,
            dice: Random::new(kind.seed),
        };
        let genesis = genesis_block(bitcoin::Network::Regtest);
        let nothing = BlockHash::new([0; 32]);
        inner.add(genesis.header, nothing, 0, Vec::new());
        for number in 0..SCRIPTS {
            inner.connect(Vec::new(), number);
        }
        Self(Mutex::new(inner))
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Some calls take a while, before or after the moment of which they tell.
    async fn dally(&self) {
        let dice = self.inner().dice.number();
        if dice.is_multiple_of(6) {
            tokio::time::sleep(Duration::from_millis(dice >> 32 & 7)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    async fn ask<T>(&self, question: impl FnOnce(&Inner) -> T) -> T {
        self.dally().await;
        let answer = question(&self.inner());
        self.dally().await;
        answer
    }
}

impl Mined {
    fn body(&self) -> Block {
        Block {
            header: self.header,
            txdata: self
                .payments
                .iter()
                .map(|payment| payment.body.clone())
                .collect(),
        }
    }
}
