//! The HTTP API over real connections, on a log in memory or on disk.

mod addresses;
mod balance;
mod clients;
mod connections;
mod deletion_receipts;
mod events;
mod forgetting;
mod forwarding;
mod fullness;
mod idempotency;
mod isolation;
mod limits;
mod messages;
mod operator;
mod positions;
mod price;
mod proofs;
mod push;
mod reachable;
mod receive;
mod service;
mod signatures;
mod signed_bytes;
mod spotbit;
mod wallet;
mod wire;
