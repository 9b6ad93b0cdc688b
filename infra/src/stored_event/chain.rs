//! The stored forms of the events of a chain.

use satpost_domain::chain::{ChainEvent, GapKind, ReplacedIn, ReplacedVia};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::{Event, Timestamp};

use super::Encoded;
use super::codes::Coded;
use super::form::{Flaw, Form, Registered, encoded, stored_form};
use super::history;
use super::parts::{Block, Output, Touched, load_inputs, store_inputs};

pub(super) const FORMS: &[Registered] = &[
    Registered::of::<EpochStarted>(),
    Registered::of::<BlockConnected>(),
    Registered::of::<BlockDisconnected>(),
    Registered::of::<TransactionSeen>(),
    Registered::of::<TransactionConfirmed>(),
    Registered::of::<TransactionUnconfirmed>(),
    Registered::of::<TransactionReplaced>(),
    Registered::of::<TransactionEvicted>(),
    Registered::of::<DepthReached>(),
    Registered::of::<TransactionFinal>(),
    Registered::of::<CoinbaseMatured>(),
    Registered::of::<AuditPassed>(),
    Registered::of::<FeedGap>(),
    Registered::of::<FeedRestored>(),
    history::STARTED,
    history::COIN_FOUND,
    history::COIN_GONE,
    history::AMENDED,
    history::ADVANCED,
    history::RAISED,
    history::COMPLETED,
];

stored_form!(
    /// The watcher begins to follow this chain at a tip.
    EpochStarted = "EpochStarted", 1 { genesis: BlockHash, tip: Block, at: Timestamp }
);
stored_form!(
    /// A block extends the chain; stands first in the append that holds all events of the block.
    BlockConnected = "BlockConnected", 1 { block: Block, previous: BlockHash, time_secs: u32 }
);
stored_form!(
    /// The last block was taken back.
    BlockDisconnected = "BlockDisconnected", 1 { block: Block }
);
stored_form!(
    /// A transaction entered the mempool.
    TransactionSeen = "TransactionSeen", 1 {
        txid: Txid,
        touch: Touched,
        inputs: Vec<Output>,
        incarnation: u32,
        at: Timestamp,
    }
);
stored_form!(
    /// A transaction is in a block.
    TransactionConfirmed = "TransactionConfirmed", 1 {
        txid: Txid,
        touch: Touched,
        inputs: Vec<Output>,
        block: Block,
        index: u32,
        backfilled: bool,
    }
);
stored_form!(
    /// The block of a transaction was taken back.
    TransactionUnconfirmed = "TransactionUnconfirmed", 1 {
        txid: Txid,
        script_hash: ScriptHash,
        block: Block,
        was_final: bool,
    }
);
stored_form!(
    /// Another transaction took the place of this one.
    TransactionReplaced = "TransactionReplaced", 1 {
        txid: Txid,
        script_hash: ScriptHash,
        incarnation: u32,
        by: Txid,
        via: Coded<ReplacedVia>,
        replaced_in: Coded<ReplacedIn>,
    }
);
stored_form!(
    /// A transaction left the mempool and nothing took its place.
    TransactionEvicted = "TransactionEvicted", 1 {
        txid: Txid,
        script_hash: ScriptHash,
        incarnation: u32,
    }
);
stored_form!(
    /// A transaction is as deep as somebody who watches its script wished.
    DepthReached = "DepthReached", 1 {
        txid: Txid,
        script_hash: ScriptHash,
        depth: u32,
        block: Block,
    }
);
stored_form!(
    /// A transaction is so deep that no reorganisation is expected to reach it.
    TransactionFinal = "TransactionFinal", 1 {
        txid: Txid,
        script_hash: ScriptHash,
        depth: u32,
        block: Block,
    }
);
stored_form!(
    /// The outputs of a coinbase can be spent by the next block.
    CoinbaseMatured = "CoinbaseMatured", 1 {
        txid: Txid,
        script_hash: ScriptHash,
        block: Block,
    }
);
stored_form!(
    /// Everything that is remembered was compared with the node, and nothing differed.
    AuditPassed = "AuditPassed", 1 {
        tip: Block,
        blocks: u32,
        transactions: u32,
        at: Timestamp,
    }
);
stored_form!(
    /// What happened between two moments may be known only by its result.
    FeedGap = "FeedGap", 1 { kind: Coded<GapKind>, at: Timestamp }
);
stored_form!(
    /// The log agrees with the node again.
    FeedRestored = "FeedRestored", 1 { tip: Block, at: Timestamp }
);

/// One flat table, so that a reader sees every event of the chain beside its stored form.
pub(super) fn encode(event: &ChainEvent) -> Encoded {
    match *event {
        ChainEvent::EpochStarted {
            genesis,
            ref tip,
            at,
        } => encoded(&EpochStarted {
            genesis,
            tip: tip.into(),
            at,
        }),
        ChainEvent::BlockConnected {
            ref block,
            previous,
            time_secs,
        } => encoded(&BlockConnected {
            block: block.into(),
            previous,
            time_secs,
        }),
        ChainEvent::BlockDisconnected { ref block } => encoded(&BlockDisconnected {
            block: block.into(),
        }),
        ChainEvent::TransactionSeen {
            txid,
            ref touch,
            ref inputs,
            incarnation,
            at,
        } => encoded(&TransactionSeen {
            txid,
            touch: touch.into(),
            inputs: store_inputs(inputs),
            incarnation,
            at,
        }),
        ChainEvent::TransactionConfirmed {
            txid,
            ref touch,
            ref inputs,
            ref block,
            index,
            backfilled,
        } => encoded(&TransactionConfirmed {
            txid,
            touch: touch.into(),
            inputs: store_inputs(inputs),
            block: block.into(),
            index,
            backfilled,
        }),
        ChainEvent::TransactionUnconfirmed {
            txid,
            script_hash,
            ref block,
            was_final,
        } => encoded(&TransactionUnconfirmed {
            txid,
            script_hash,
            block: block.into(),
            was_final,
        }),
        ChainEvent::TransactionReplaced {
            txid,
            script_hash,
            incarnation,
            by,
            via,
            replaced_in,
        } => encoded(&TransactionReplaced {
            txid,
            script_hash,
            incarnation,
            by,
            via: Coded(via),
            replaced_in: Coded(replaced_in),
        }),
        ChainEvent::TransactionEvicted {
            txid,
            script_hash,
            incarnation,
        } => encoded(&TransactionEvicted {
            txid,
            script_hash,
            incarnation,
        }),
        ChainEvent::DepthReached {
            txid,
            script_hash,
            depth,
            ref block,
        } => encoded(&DepthReached {
            txid,
            script_hash,
            depth,
            block: block.into(),
        }),
        ChainEvent::TransactionFinal {
            txid,
            script_hash,
            depth,
            ref block,
        } => encoded(&TransactionFinal {
            txid,
            script_hash,
            depth,
            block: block.into(),
        }),
        ChainEvent::CoinbaseMatured {
            txid,
            script_hash,
            ref block,
        } => encoded(&CoinbaseMatured {
            txid,
            script_hash,
            block: block.into(),
        }),
        ChainEvent::AuditPassed {
            ref tip,
            blocks,
            transactions,
            at,
        } => encoded(&AuditPassed {
            tip: tip.into(),
            blocks,
            transactions,
            at,
        }),
        ChainEvent::FeedGap { kind, at } => encoded(&FeedGap {
            kind: Coded(kind),
            at,
        }),
        ChainEvent::FeedRestored { ref tip, at } => encoded(&FeedRestored {
            tip: tip.into(),
            at,
        }),
        ChainEvent::History(ref event) => history::encode(event),
    }
}

impl Form for EpochStarted {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::EpochStarted {
            genesis: self.genesis,
            tip: self.tip.into(),
            at: self.at,
        }
        .into())
    }
}

impl Form for BlockConnected {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::BlockConnected {
            block: self.block.into(),
            previous: self.previous,
            time_secs: self.time_secs,
        }
        .into())
    }
}

impl Form for BlockDisconnected {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let block = self.block.into();
        Ok(ChainEvent::BlockDisconnected { block }.into())
    }
}

impl Form for TransactionSeen {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::TransactionSeen {
            txid: self.txid,
            touch: self.touch.into(),
            inputs: load_inputs(self.inputs),
            incarnation: self.incarnation,
            at: self.at,
        }
        .into())
    }
}

impl Form for TransactionConfirmed {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::TransactionConfirmed {
            txid: self.txid,
            touch: self.touch.into(),
            inputs: load_inputs(self.inputs),
            block: self.block.into(),
            index: self.index,
            backfilled: self.backfilled,
        }
        .into())
    }
}

impl Form for TransactionUnconfirmed {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::TransactionUnconfirmed {
            txid: self.txid,
            script_hash: self.script_hash,
            block: self.block.into(),
            was_final: self.was_final,
        }
        .into())
    }
}

impl Form for TransactionReplaced {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let (Coded(via), Coded(replaced_in)) = (self.via, self.replaced_in);
        Ok(ChainEvent::TransactionReplaced {
            txid: self.txid,
            script_hash: self.script_hash,
            incarnation: self.incarnation,
            by: self.by,
            via,
            replaced_in,
        }
        .into())
    }
}

impl Form for TransactionEvicted {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::TransactionEvicted {
            txid: self.txid,
            script_hash: self.script_hash,
            incarnation: self.incarnation,
        }
        .into())
    }
}

impl Form for DepthReached {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::DepthReached {
            txid: self.txid,
            script_hash: self.script_hash,
            depth: self.depth,
            block: self.block.into(),
        }
        .into())
    }
}

impl Form for TransactionFinal {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::TransactionFinal {
            txid: self.txid,
            script_hash: self.script_hash,
            depth: self.depth,
            block: self.block.into(),
        }
        .into())
    }
}

impl Form for CoinbaseMatured {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::CoinbaseMatured {
            txid: self.txid,
            script_hash: self.script_hash,
            block: self.block.into(),
        }
        .into())
    }
}

impl Form for AuditPassed {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        Ok(ChainEvent::AuditPassed {
            tip: self.tip.into(),
            blocks: self.blocks,
            transactions: self.transactions,
            at: self.at,
        }
        .into())
    }
}

impl Form for FeedGap {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let Self { kind, at } = self;
        let Coded(kind) = kind;
        Ok(ChainEvent::FeedGap { kind, at }.into())
    }
}

impl Form for FeedRestored {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let tip = self.tip.into();
        Ok(ChainEvent::FeedRestored { tip, at: self.at }.into())
    }
}
