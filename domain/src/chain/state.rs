//! What is true of a chain now: the last blocks, the transactions that may still change, and the
//! coins of watched scripts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::chain::{Backfill, BlockRef, ChainEvent, HistoryEvent, OutPoint, Touch};
use crate::ids::{BlockHash, ScriptHash, Txid};
use crate::limits::REORG_BLOCKS_MAX;

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// In the mempool.
    Mempool,
    /// In a block of the chain.
    Confirmed(BlockRef),
    /// In neither.
    Gone {
        /// The height of the tip when it went; it is forgotten `REORG_BLOCKS_MAX` blocks later.
        tip_height: u32,
        /// True when what took its place is known.
        replaced: bool,
    },
}

impl TransactionState {
    /// The height from which the blocks are counted until the transaction is forgotten; one in
    /// the mempool is not.
    const fn settled_at(self) -> Option<u32> {
        match self {
            Self::Mempool => None,
            Self::Confirmed(block) => Some(block.height),
            Self::Gone { tip_height, .. } => Some(tip_height),
        }
    }
}

/// A transaction that touches watched scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Where it is.
    pub state: TransactionState,
    /// How often it has entered the mempool.
    pub incarnation: u32,
    /// True when its place in a block is the first, which makes it a coinbase.
    pub is_coinbase: bool,
    /// True when it was reported as final since it is in its block.
    pub was_final: bool,
    /// How it touches each watched script.
    pub touches: BTreeMap<ScriptHash, Touch>,
    /// The outputs it spends.
    pub inputs: Vec<OutPoint>,
}

/// An output that pays to a watched script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coin {
    /// The script.
    pub script_hash: ScriptHash,
    /// Its value, in satoshi.
    pub value_sat: u64,
}

/// The state of one chain; the default is "not followed yet".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    genesis: Option<BlockHash>,
    /// The last blocks, oldest first, the tip last; at most `REORG_BLOCKS_MAX` + 1.
    recent: VecDeque<BlockRef>,
    /// What is in the mempool, in a remembered block, or gone since then.
    tracked: BTreeMap<Txid, Tracked>,
    /// The tracked transactions in the mempool.
    waiting: BTreeSet<Txid>,
    /// The tracked transactions outside the mempool by the height at which they settled.
    settled: BTreeMap<u32, BTreeSet<Txid>>,
    /// The outputs of recorded transactions that no forgotten transaction has spent. They outlive
    /// their transaction: a coin may be spent years later, and its spender is known only by it.
    coins: BTreeMap<OutPoint, Coin>,
    /// How often the transactions that went and were forgotten had entered the mempool: one that
    /// comes back after months must not be taken for its first stay.
    earlier: BTreeMap<Txid, u32>,
    gap_open: bool,
    backfill: Option<Backfill>,
}

impl Chain {
    /// The hash of block 0, once the chain is followed.
    #[must_use]
    pub const fn genesis(&self) -> Option<BlockHash> {
        self.genesis
    }

    /// The last block, once the chain is followed.
    #[must_use]
    pub fn tip(&self) -> Option<BlockRef> {
        self.recent.back().copied()
    }

    /// The remembered blocks from the tip downwards, at most `REORG_BLOCKS_MAX` + 1.
    pub fn recent_blocks(&self) -> impl ExactSizeIterator<Item = BlockRef> + '_ {
        self.recent.iter().rev().copied()
    }

    /// True when the block with this hash is one of [`Self::recent_blocks`].
    #[must_use]
    pub fn remembers(&self, hash: &BlockHash) -> bool {
        self.recent.iter().any(|block| block.hash == *hash)
    }

    /// A transaction that touches watched scripts and is not yet forgotten.
    #[must_use]
    pub fn tracked(&self, txid: &Txid) -> Option<&Tracked> {
        self.tracked.get(txid)
    }

    /// All of them, by txid.
    pub fn all_tracked(&self) -> impl Iterator<Item = (&Txid, &Tracked)> {
        self.tracked.iter()
    }

    /// Those in the mempool, by txid.
    pub fn mempool(&self) -> impl Iterator<Item = (&Txid, &Tracked)> {
        self.waiting
            .iter()
            .filter_map(|txid| self.tracked.get_key_value(txid))
    }

    /// Those in the remembered block at `height`, by txid. Looks at nothing else.
    pub fn confirmed_at(&self, height: u32) -> impl Iterator<Item = (&Txid, &Tracked)> {
        let settled = self.settled.get(&height).into_iter().flatten();
        settled
            .filter_map(|txid| self.tracked.get_key_value(txid))
            .filter(|(_, tracked)| matches!(tracked.state, TransactionState::Confirmed(_)))
    }

    /// True when the transaction is tracked and in the mempool.
    #[must_use]
    pub fn is_in_mempool(&self, txid: &Txid) -> bool {
        self.waiting.contains(txid)
    }

    /// The coin at `outpoint` when it pays to a script that was watched when it was recorded and
    /// no forgotten transaction has spent it.
    #[must_use]
    pub fn coin(&self, outpoint: &OutPoint) -> Option<Coin> {
        self.coins.get(outpoint).copied()
    }

    /// The back-fill that is not complete, if there is one.
    #[must_use]
    pub const fn backfill(&self) -> Option<&Backfill> {
        self.backfill.as_ref()
    }

    /// True from a noticed gap until the log agrees with the node again.
    #[must_use]
    pub const fn gap_open(&self) -> bool {
        self.gap_open
    }

    /// The tracked transactions in `block`, by txid.
    pub(super) fn in_block(&self, block: BlockRef) -> impl Iterator<Item = (&Txid, &Tracked)> {
        self.confirmed_at(block.height)
            .filter(move |(_, tracked)| tracked.state == TransactionState::Confirmed(block))
    }

    /// How often a transaction that is not tracked any more had entered the mempool.
    pub(super) fn earlier_incarnations(&self, txid: &Txid) -> u32 {
        self.earlier.get(txid).copied().unwrap_or(0)
    }

    /// Applies one event.
    pub(super) fn apply(&mut self, event: &ChainEvent) {
        self.backfill = Backfill::after(self.backfill.take(), event);
        match event {
            ChainEvent::EpochStarted { genesis, tip, .. } => {
                self.genesis = Some(*genesis);
                self.recent = VecDeque::from([*tip]);
            }
            ChainEvent::BlockConnected { block, .. } => self.connect(*block),
            ChainEvent::BlockDisconnected { block } => {
                if self.tip() == Some(*block) {
                    self.recent.pop_back();
                }
            }
            ChainEvent::TransactionSeen {
                txid,
                touch,
                inputs,
                incarnation,
                ..
            } => {
                self.touch(*txid, touch, inputs).incarnation = *incarnation;
                self.settle(*txid, TransactionState::Mempool);
            }
            ChainEvent::TransactionConfirmed {
                txid,
                touch,
                inputs,
                block,
                ..
            } if self.is_settled(*block) => self.keep_coins(*txid, touch, inputs),
            ChainEvent::TransactionConfirmed {
                txid,
                touch,
                inputs,
                block,
                index,
                ..
            } => {
                self.touch(*txid, touch, inputs).is_coinbase = *index == 0;
                self.settle(*txid, TransactionState::Confirmed(*block));
            }
            ChainEvent::TransactionUnconfirmed { txid, .. } => self.unconfirm(*txid),
            ChainEvent::TransactionReplaced { txid, .. } => self.go(*txid, true),
            ChainEvent::TransactionEvicted { txid, .. } => self.go(*txid, false),
            ChainEvent::TransactionFinal { txid, .. } => {
                if let Some(tracked) = self.tracked.get_mut(txid) {
                    tracked.was_final = true;
                }
            }
            ChainEvent::DepthReached { .. }
            | ChainEvent::CoinbaseMatured { .. }
            | ChainEvent::AuditPassed { .. } => {}
            ChainEvent::FeedGap { .. } => self.gap_open = true,
            ChainEvent::FeedRestored { .. } => self.gap_open = false,
            ChainEvent::History(event) => self.apply_history(event),
        }
    }

    fn connect(&mut self, block: BlockRef) {
        self.recent.push_back(block);
        while self.recent.len() > REORG_BLOCKS_MAX + 1 {
            self.recent.pop_front();
        }
        while let Some(entry) = self.settled.first_entry()
            && entry.key().saturating_add(REORG_HEIGHTS_MAX) < block.height
        {
            for txid in entry.remove() {
                self.forget(txid);
            }
        }
    }

    /// Enters what an event says about a transaction; its state is set by the caller.
    fn touch(&mut self, txid: Txid, touch: &Touch, inputs: &[OutPoint]) -> &mut Tracked {
        for &(vout, value_sat) in &touch.outputs {
            let coin = Coin {
                script_hash: touch.script_hash,
                value_sat,
            };
            self.coins.insert(OutPoint { txid, vout }, coin);
        }
        let earlier = &mut self.earlier;
        let tracked = self.tracked.entry(txid).or_insert_with(|| Tracked {
            state: TransactionState::Mempool,
            incarnation: earlier.remove(&txid).unwrap_or(0),
            is_coinbase: false,
            was_final: false,
            touches: BTreeMap::new(),
            inputs: inputs.to_vec(),
        });
        tracked.touches.insert(touch.script_hash, touch.clone());
        tracked
    }

    /// True when a block is too deep to be taken back.
    fn is_settled(&self, block: BlockRef) -> bool {
        let tip = self.tip().map_or(0, |tip| tip.height);
        block.height.saturating_add(REORG_HEIGHTS_MAX) < tip
    }

    /// Takes what a back-fill found so deep that nothing of it can change any more.
    fn keep_coins(&mut self, txid: Txid, touch: &Touch, inputs: &[OutPoint]) {
        for &(vout, value_sat) in &touch.outputs {
            let coin = Coin {
                script_hash: touch.script_hash,
                value_sat,
            };
            self.coins.insert(OutPoint { txid, vout }, coin);
        }
        for input in inputs {
            self.coins.remove(input);
        }
    }

    fn apply_history(&mut self, event: &HistoryEvent) {
        match event {
            HistoryEvent::CoinFound {
                script_hash,
                outpoint,
                value_sat,
                ..
            } => {
                let coin = Coin {
                    script_hash: *script_hash,
                    value_sat: *value_sat,
                };
                self.coins.insert(*outpoint, coin);
            }
            HistoryEvent::CoinGone { outpoint, .. } => {
                self.coins.remove(outpoint);
            }
            HistoryEvent::TransactionAmended { txid, touch, .. } => {
                if let Some(tracked) = self.tracked.get_mut(txid) {
                    tracked.touches.insert(touch.script_hash, touch.clone());
                }
            }
            HistoryEvent::BackfillStarted { .. }
            | HistoryEvent::BackfillAdvanced { .. }
            | HistoryEvent::BackfillRaised { .. }
            | HistoryEvent::BackfillCompleted { .. } => {}
        }
    }

    /// The block of a transaction was taken back; there is one event for each script it touches,
    /// and only the first of them moves it.
    fn unconfirm(&mut self, txid: Txid) {
        if let Some(tracked) = self.tracked.get_mut(&txid)
            && tracked.state != TransactionState::Mempool
        {
            tracked.incarnation += 1;
            tracked.was_final = false;
            self.settle(txid, TransactionState::Mempool);
        }
    }

    fn go(&mut self, txid: Txid, replaced: bool) {
        let tip_height = self.tip().map_or(0, |tip| tip.height);
        let gone = TransactionState::Gone {
            tip_height,
            replaced,
        };
        self.settle(txid, gone);
    }

    fn settle(&mut self, txid: Txid, state: TransactionState) {
        let Some(tracked) = self.tracked.get_mut(&txid) else {
            return;
        };
        let before = std::mem::replace(&mut tracked.state, state);
        if let Some(height) = before.settled_at()
            && let Some(at_height) = self.settled.get_mut(&height)
        {
            at_height.remove(&txid);
            if at_height.is_empty() {
                self.settled.remove(&height);
            }
        }
        if let Some(height) = state.settled_at() {
            self.waiting.remove(&txid);
            self.settled.entry(height).or_default().insert(txid);
        } else {
            self.waiting.insert(txid);
        }
    }

    /// Forgets a transaction that can no longer change. The coins it spent in a block are spent
    /// for good; the coins it would have made never came to be.
    fn forget(&mut self, txid: Txid) {
        let Some(tracked) = self.tracked.remove(&txid) else {
            return;
        };
        if let TransactionState::Confirmed(_) = tracked.state {
            for input in &tracked.inputs {
                self.coins.remove(input);
            }
        } else {
            self.earlier.insert(txid, tracked.incarnation);
            for touch in tracked.touches.values() {
                for &(vout, _) in &touch.outputs {
                    self.coins.remove(&OutPoint { txid, vout });
                }
            }
        }
    }
}

/// [`REORG_BLOCKS_MAX`] as a difference of heights.
const REORG_HEIGHTS_MAX: u32 = REORG_BLOCKS_MAX as u32;
