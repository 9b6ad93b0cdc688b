//! The HTTP API over real connections, on a log in memory or on disk.

mod addresses;
mod balance;
mod clients;
mod events;
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
mod spotbit;
mod wallet;
mod wire;
