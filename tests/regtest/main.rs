//! Tests against a real node in regtest mode.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks;
mod chaos;
mod failures;
mod mempool;
mod milestones;
mod node;
mod polling;
mod relay;
mod server;
mod spend;
mod truth;
mod two_nodes;
