//! Software of others, unmodified and in other languages, against ours: clients of EventStoreDB,
//! signers of RFC 9421, and a tester that knows nothing but the OpenAPI description.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod described_api;
mod facade;
mod script;
mod signers;
