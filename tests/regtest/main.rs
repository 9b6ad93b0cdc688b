//! Tests against a real node in regtest mode.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks;
mod esplora;
mod failures;
mod mempool;
mod node;
mod relay;
mod server;
mod spend;
mod truth;
