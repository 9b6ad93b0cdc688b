//! The HTTP API over real connections, on a log in memory or on disk.

mod addresses;
mod balance;
mod batch;
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
mod refusal_time;
mod refusals;
mod service;
mod signatures;
mod spotbit;
mod strangers;
mod wallet;
mod wire;
