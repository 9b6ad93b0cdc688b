//! Adapters, wiring and the binary `satpostd`.

pub mod push;
