//! What can happen on the chain.

use crate::chain::HistoryEvent;
use crate::ids::{BlockHash, ScriptHash, Txid};
use crate::time::Timestamp;

/// A block by height and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
}

/// An output of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutPoint {
    /// The transaction.
    pub txid: Txid,
    /// The index of the output.
    pub vout: u32,
}

/// How a transaction touches one watched script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The script.
    pub script_hash: ScriptHash,
    /// What its outputs pay to the script, in satoshi.
    pub received_sat: u64,
    /// What its inputs take from the script, in satoshi.
    pub spent_sat: u64,
    /// The outputs that pay to the script: (index, satoshi).
    pub outputs: Vec<(u32, u64)>,
}

/// Where the transaction that replaced another one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacedIn {
    /// In the mempool.
    Mempool,
    /// In a block.
    Block,
}

/// Which conflict removed a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacedVia {
    /// One of its own inputs was spent by the other transaction.
    Direct,
    /// An unconfirmed ancestor was replaced.
    Ancestor,
}

/// What kind of loss made the watcher resynchronise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapKind {
    /// The server was not running, or had never seen this chain.
    Start,
    /// A notification counter skipped.
    Counter,
    /// A notification socket lost its connection.
    Disconnected,
    /// The node was restarted.
    NodeRestart,
    /// The node's tip or mempool differs from what the notifications told.
    Heartbeat,
    /// More changes of the mempool were numbered than announced, or an announced block does not
    /// follow the one before it.
    Books,
    /// More notifications waited than the server holds.
    Overflow,
    /// The full comparison with the node found a difference.
    Audit,
    /// The node announces too little, so it is asked once a second from now on. What comes and
    /// goes between two questions is not seen.
    Polling,
}

/// An event of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// The watcher begins to follow this chain at a tip, for the first time.
    EpochStarted {
        /// The hash of block 0.
        genesis: BlockHash,
        /// The tip from which everything is seen.
        tip: BlockRef,
        /// When.
        at: Timestamp,
    },
    /// A block extends the chain. Stands first in the append that holds all events of the block.
    BlockConnected {
        /// The block.
        block: BlockRef,
        /// The block before it.
        previous: BlockHash,
        /// The time in its header, in Unix seconds.
        time_secs: u32,
    },
    /// The last block was taken back.
    BlockDisconnected {
        /// The block.
        block: BlockRef,
    },
    /// A transaction entered the mempool.
    TransactionSeen {
        /// The transaction.
        txid: Txid,
        /// How it touches a watched script.
        touch: Touch,
        /// The outputs it spends, so that its replacement can be named.
        inputs: Vec<OutPoint>,
        /// How often it has entered the mempool, from 1.
        incarnation: u32,
        /// When the server saw it.
        at: Timestamp,
    },
    /// A transaction is in a block.
    TransactionConfirmed {
        /// The transaction.
        txid: Txid,
        /// How it touches a watched script.
        touch: Touch,
        /// The outputs it spends.
        inputs: Vec<OutPoint>,
        /// The block.
        block: BlockRef,
        /// Its place in the block.
        index: u32,
        /// True when a back-fill found it: it confirmed before the history of the script was asked
        /// for, so it is no news.
        backfilled: bool,
    },
    /// The block of a transaction was taken back; it waits in the mempool again unless another
    /// event says otherwise.
    TransactionUnconfirmed {
        /// The transaction.
        txid: Txid,
        /// The script it touches.
        script_hash: ScriptHash,
        /// The block that was taken back.
        block: BlockRef,
        /// True when it had been reported as final: an alarm for the operator.
        was_final: bool,
    },
    /// Another transaction took its place. May follow an eviction of the same stay in the mempool,
    /// when what took the place is found only later.
    TransactionReplaced {
        /// The transaction.
        txid: Txid,
        /// The script it touches.
        script_hash: ScriptHash,
        /// Which stay in the mempool ended.
        incarnation: u32,
        /// The transaction that conflicts with it.
        by: Txid,
        /// Through which conflict.
        via: ReplacedVia,
        /// Where the other transaction is.
        replaced_in: ReplacedIn,
    },
    /// It left the mempool and nothing took its place.
    TransactionEvicted {
        /// The transaction.
        txid: Txid,
        /// The script it touches.
        script_hash: ScriptHash,
        /// Which stay in the mempool ended.
        incarnation: u32,
    },
    /// A transaction is as deep as somebody who watches its script wished. Holds as long as
    /// `block` is in the chain: after a reorganisation the depth is reached again, in another block.
    DepthReached {
        /// The transaction.
        txid: Txid,
        /// The script it touches.
        script_hash: ScriptHash,
        /// How many blocks there are from its own to `block`, both counted.
        depth: u32,
        /// The block that made the depth.
        block: BlockRef,
    },
    /// A transaction is so deep that no reorganisation is expected to reach it. Holds as long as
    /// `block` is in the chain, like [`Self::DepthReached`].
    TransactionFinal {
        /// The transaction.
        txid: Txid,
        /// The script it touches.
        script_hash: ScriptHash,
        /// The final depth of the server that says so.
        depth: u32,
        /// The block that made the depth.
        block: BlockRef,
    },
    /// The outputs of a coinbase can be spent by the block after `block`. Holds as long as `block`
    /// is in the chain, like [`Self::DepthReached`].
    CoinbaseMatured {
        /// The coinbase transaction.
        txid: Txid,
        /// The script it pays to.
        script_hash: ScriptHash,
        /// The block that made it [`crate::limits::COINBASE_MATURITY`] blocks deep.
        block: BlockRef,
    },
    /// Everything that is remembered was compared with the node, and nothing differed.
    AuditPassed {
        /// The tip at that moment.
        tip: BlockRef,
        /// How many blocks were compared, from the tip downwards.
        blocks: u32,
        /// How many transactions the mempool had.
        transactions: u32,
        /// When.
        at: Timestamp,
    },
    /// What happened between two moments may be known only by its result.
    FeedGap {
        /// What was noticed.
        kind: GapKind,
        /// When.
        at: Timestamp,
    },
    /// The log agrees with the node again.
    FeedRestored {
        /// The tip at that moment.
        tip: BlockRef,
        /// When.
        at: Timestamp,
    },
    /// Of the back-fill.
    History(HistoryEvent),
}

impl From<HistoryEvent> for ChainEvent {
    fn from(event: HistoryEvent) -> Self {
        Self::History(event)
    }
}

impl ChainEvent {
    /// The watched script that the change of a transaction touches; nothing for other events.
    #[must_use]
    pub const fn touched_script(&self) -> Option<&ScriptHash> {
        match self {
            Self::TransactionSeen { touch, .. } | Self::TransactionConfirmed { touch, .. } => {
                Some(&touch.script_hash)
            }
            Self::TransactionUnconfirmed { script_hash, .. }
            | Self::TransactionReplaced { script_hash, .. }
            | Self::TransactionEvicted { script_hash, .. }
            | Self::DepthReached { script_hash, .. }
            | Self::TransactionFinal { script_hash, .. }
            | Self::CoinbaseMatured { script_hash, .. } => Some(script_hash),
            Self::EpochStarted { .. }
            | Self::BlockConnected { .. }
            | Self::BlockDisconnected { .. }
            | Self::AuditPassed { .. }
            | Self::FeedGap { .. }
            | Self::FeedRestored { .. }
            | Self::History(_) => None,
        }
    }
}
