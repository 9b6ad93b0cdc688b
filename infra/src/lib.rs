//! Placeholder.

pub mod event_store;
