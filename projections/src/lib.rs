//! One file per question a reader can ask Satpost, kept up to date from the event log.
//!
//! # Layout
//! - [`projection`]: the shape every projection has; [`source`]: where its events come from.
//! - [`client_directory`], [`mailbox_queue`], [`watched_scripts`], [`transaction_status`],
//!   [`coins`], [`push_outbox`]: the projections. Each can be rebuilt alone.
//! - [`script_table`]: what watched scripts are kept in; `id_list`: what is known by ids that count;
//!   `client_slots`: what there is for each client, by a small number.
//! - [`read_model`]: all of them behind one position; what queries are asked of.
//! - [`arrivals`]: who waits for a message, or for a change of a transaction; [`wake_board`]: whose
//!   phone was woken and has not fetched.
//! - [`runner`]: catch-up and follow; rebuild is the same from an empty state.

pub mod arrivals;
pub mod client_directory;
mod client_slots;
pub mod coins;
mod id_list;
pub mod mailbox_queue;
pub mod projection;
pub mod push_outbox;
pub mod read_model;
pub mod runner;
pub mod script_table;
mod snapshot;
pub mod source;
mod stream_owner;
#[cfg(test)]
mod test_log;
pub mod transaction_status;
pub mod wake_board;
pub mod watched_scripts;

pub use projection::Projection;
pub use read_model::ReadModel;
