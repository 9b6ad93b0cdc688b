//! Placeholder.

pub mod event_log;
pub mod event_store;
pub mod stored_event;
