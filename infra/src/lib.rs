//! Adapters, wiring and the binary `satpostd`.

pub mod event_store;
pub mod push;
pub mod system;
