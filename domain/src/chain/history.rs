//! The back-fill: what happened to scripts before the watcher knew them.
//!
//! The log holds at most one back-fill at a time, for any number of scripts. It reads the blocks
//! from a height up to the tip in their order, while the watcher goes on; every append moves its
//! cursor, and a block that is taken back moves the cursor back. A transaction that confirmed
//! below the tip is recorded as confirmed at once, marked so that nobody is woken for it.

mod command;
mod decide;
mod event;
mod state;
#[cfg(test)]
mod tests;

pub(super) use decide::amended;

pub use command::{HistoricBlock, HistoryCommand};
pub use event::HistoryEvent;
pub use state::Backfill;
