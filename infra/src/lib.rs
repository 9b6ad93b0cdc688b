//! Placeholder.

pub mod event_store;
mod payload_store;
mod storage;
