//! The outermost ring of Satpost: adapters, wiring and the binary `satpostd`.
//!
//! The log as bytes is a crate of its own, `satpost_event_store`, and so is its engine on a cluster,
//! `satpost_eventstoredb`.
//!
//! # Layout
//! - [`stored_event`]: the postcard form of every event; [`event_log`]: the ports of the log over
//!   an event store; [`snapshots`]: projections on disk.
//! - [`transfer`]: a log to a file and back, between engines.
//! - [`bitcoind`]: the node, and the watcher that follows it.
//! - [`price`]: exchanges are asked for prices, and their answers recorded.
//! - [`esplora`]: the chain as other wallets ask for it; [`electrs`]: a front end that harnesses start
//!   in place of `electrs`.
//! - [`push`]: the way to a phone; [`outbox`]: what empties the push outbox.
//! - `log_engine`: which engine the log is on; [`log_facade`]: the log served to clients of
//!   EventStoreDB.
//! - [`log_checkpoints`]: the server's signature under its log; [`backup_manifest`]: what describes a
//!   backup.
//! - [`erasure`]: whether what was closed is gone, and what is open is there.
//! - [`processes`]: runs the process managers.
//! - [`config`], [`server_keys`], [`system`], [`telemetry`], [`shutdown`], [`status`], `open_files`:
//!   what a server needs around it.
//! - [`bench`](mod@bench): how fast the event log is, beside others.
//! - [`wiring`]: puts all of it together; [`cli`]: the command line of `satpostd`.

pub mod backup_manifest;
pub mod bench;
pub mod bitcoind;
pub mod cli;
pub mod config;
pub mod electrs;
pub mod erasure;
pub mod esplora;
pub mod event_log;
pub mod log_checkpoints;
mod log_engine;
pub mod log_facade;
mod open_files;
pub mod outbox;
pub mod price;
pub mod processes;
pub mod push;
pub mod server_keys;
pub mod shutdown;
pub mod snapshots;
pub mod status;
pub mod stored_event;
pub mod system;
pub mod telemetry;
pub mod transfer;
pub mod wiring;
