//! The outermost ring of Satpost: adapters, wiring and the binary `satpostd`.
//!
//! # Layout
//! - [`event_store`]: the log as bytes, embedded and in memory.
//! - [`event_log`]: the ports of the log over an event store.
//! - [`stored_event`]: the postcard form of every event.
//! - [`snapshots`]: the projections in files, so that a start replays little.
//! - [`push`]: Web Push, and a log-only stand-in.

pub mod event_log;
pub mod event_store;
mod payload_store;
pub mod push;
pub mod snapshots;
mod storage;
pub mod stored_event;
