//! The chain of one network as the server saw it: blocks, and what became of every transaction
//! that touches a watched script.
//!
//! One writer, the watcher, appends to this stream; the tip is itself an event, so there is no
//! other cursor to keep in step.

mod command;
mod decide;
mod depths;
mod error;
mod event;
mod event_id;
mod history;
mod milestones;
mod state;
#[cfg(test)]
mod tests;

pub use command::{ChainCommand, Conflict, DepthWish, RemovalCause, Sighting};
pub use depths::{DepthError, DepthSet};
pub use error::ChainError;
pub use event::{BlockRef, ChainEvent, GapKind, OutPoint, ReplacedIn, ReplacedVia, Touch};
pub use event_id::event_id;
pub use history::{Backfill, HistoricBlock, HistoryCommand, HistoryEvent};
pub use state::{Chain, Coin, Tracked, TransactionState};
