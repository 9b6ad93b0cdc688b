//! The stored forms of the events of a back-fill, which stand in the stream of their chain.

use satpost_domain::chain::HistoryEvent;
use satpost_domain::ids::{ScriptHash, Txid};
use satpost_domain::{Event, Timestamp};

use super::Encoded;
use super::form::{Flaw, Form, Registered, encoded, stored_form};
use super::parts::{Block, Output, Touched, load_inputs, store_inputs};

stored_form!(
    /// A back-fill begins for these scripts; several in a row are one back-fill.
    BackfillStarted = "BackfillStarted", 1 {
        scripts: Vec<ScriptHash>,
        wanted: u32,
        wanted_time_secs: u64,
        from: u32,
        at: Timestamp,
    }
);
stored_form!(
    /// A coin from below the first block that a back-fill reads.
    CoinFound = "CoinFound", 1 {
        script_hash: ScriptHash,
        outpoint: Output,
        value_sat: u64,
        height: u32,
        coinbase: bool,
    }
);
stored_form!(
    /// A coin from below the first block that a back-fill reads is spent, by what is not known.
    CoinGone = "CoinGone", 1 { script_hash: ScriptHash, outpoint: Output }
);
stored_form!(
    /// A transaction takes more from the script than was known when it was recorded.
    TransactionAmended = "TransactionAmended", 1 { txid: Txid, touch: Touched, inputs: Vec<Output> }
);
stored_form!(
    /// A back-fill has read all blocks up to this one.
    BackfillAdvanced = "BackfillAdvanced", 1 { through: Block }
);
stored_form!(
    /// The node has no blocks below this height any more.
    BackfillRaised = "BackfillRaised", 1 { from: u32 }
);
stored_form!(
    /// The scripts of the back-fill have their history.
    BackfillCompleted = "BackfillCompleted", 1 { from: u32, through: Block, at: Timestamp }
);

pub(super) const STARTED: Registered = Registered::of::<BackfillStarted>();
pub(super) const COIN_FOUND: Registered = Registered::of::<CoinFound>();
pub(super) const COIN_GONE: Registered = Registered::of::<CoinGone>();
pub(super) const AMENDED: Registered = Registered::of::<TransactionAmended>();
pub(super) const ADVANCED: Registered = Registered::of::<BackfillAdvanced>();
pub(super) const RAISED: Registered = Registered::of::<BackfillRaised>();
pub(super) const COMPLETED: Registered = Registered::of::<BackfillCompleted>();

pub(super) fn encode(event: &HistoryEvent) -> Encoded {
    match *event {
        HistoryEvent::BackfillStarted {
            ref scripts,
            wanted,
            wanted_time_secs,
            from,
            at,
        } => encoded(&BackfillStarted {
            scripts: scripts.clone(),
            wanted,
            wanted_time_secs,
            from,
            at,
        }),
        HistoryEvent::CoinFound {
            script_hash,
            outpoint,
            value_sat,
            height,
            coinbase,
        } => encoded(&CoinFound {
            script_hash,
            outpoint: outpoint.into(),
            value_sat,
            height,
            coinbase,
        }),
        HistoryEvent::CoinGone {
            script_hash,
            outpoint,
        } => encoded(&CoinGone {
            script_hash,
            outpoint: outpoint.into(),
        }),
        HistoryEvent::TransactionAmended {
            txid,
            ref touch,
            ref inputs,
        } => encoded(&TransactionAmended {
            txid,
            touch: touch.into(),
            inputs: store_inputs(inputs),
        }),
        HistoryEvent::BackfillAdvanced { ref through } => encoded(&BackfillAdvanced {
            through: through.into(),
        }),
        HistoryEvent::BackfillRaised { from } => encoded(&BackfillRaised { from }),
        HistoryEvent::BackfillCompleted {
            from,
            ref through,
            at,
        } => encoded(&BackfillCompleted {
            from,
            through: through.into(),
            at,
        }),
    }
}

fn of_chain(event: HistoryEvent) -> Result<Event, Flaw> {
    Ok(Event::Chain(event.into()))
}

impl Form for BackfillStarted {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        of_chain(HistoryEvent::BackfillStarted {
            scripts: self.scripts,
            wanted: self.wanted,
            wanted_time_secs: self.wanted_time_secs,
            from: self.from,
            at: self.at,
        })
    }
}

impl Form for CoinFound {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        of_chain(HistoryEvent::CoinFound {
            script_hash: self.script_hash,
            outpoint: self.outpoint.into(),
            value_sat: self.value_sat,
            height: self.height,
            coinbase: self.coinbase,
        })
    }
}

impl Form for CoinGone {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        of_chain(HistoryEvent::CoinGone {
            script_hash: self.script_hash,
            outpoint: self.outpoint.into(),
        })
    }
}

impl Form for TransactionAmended {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        of_chain(HistoryEvent::TransactionAmended {
            txid: self.txid,
            touch: self.touch.into(),
            inputs: load_inputs(self.inputs),
        })
    }
}

impl Form for BackfillAdvanced {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        let through = self.through.into();
        of_chain(HistoryEvent::BackfillAdvanced { through })
    }
}

impl Form for BackfillRaised {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        of_chain(HistoryEvent::BackfillRaised { from: self.from })
    }
}

impl Form for BackfillCompleted {
    fn into_event(self, _sealed: Option<&[u8]>) -> Result<Event, Flaw> {
        of_chain(HistoryEvent::BackfillCompleted {
            from: self.from,
            through: self.through.into(),
            at: self.at,
        })
    }
}
