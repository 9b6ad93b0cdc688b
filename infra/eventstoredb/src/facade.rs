//! Serves an event store over the protocol of EventStoreDB.
