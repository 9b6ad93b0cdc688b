//! Placeholder.

pub mod event_log;
pub mod event_store;
mod payload_store;
mod storage;
pub mod stored_event;
