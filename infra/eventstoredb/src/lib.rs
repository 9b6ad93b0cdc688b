//! EventStoreDB, which is called KurrentDB today: the event store on a cluster of it, and our own
//! log served over its protocol.
//!
//! - [`adapter`]: an `EventStore` over the `eventstore` crate.
//! - [`facade`]: a gRPC server over any `EventStore`.
//! - [`wire_event`]: our events in the words of EventStoreDB, the same for both.

pub mod adapter;
pub mod facade;
mod protocol;
pub mod wire_event;
