//! The outermost ring of Satpost: adapters, wiring and the binary `satpostd`.
//!
//! # Layout
//! - [`bitcoind`]: the Bitcoin node: its RPC and ZMQ interfaces, and the watcher.
//! - [`event_store`]: the log as bytes, embedded and in memory.
//! - [`stored_event`]: the postcard form of every event.
//! - [`push`]: Web Push, and a log-only stand-in.

pub mod bitcoind;
pub mod event_store;
pub mod push;
pub mod stored_event;
