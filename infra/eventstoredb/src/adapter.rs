//! The event store on a cluster of EventStoreDB.
