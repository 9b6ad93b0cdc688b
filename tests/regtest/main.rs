//! Tests against a real node in regtest mode.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod blocks;
mod chaos;
mod doctor;
mod esplora;
mod failures;
mod feed;
mod history;
mod mempool;
mod milestones;
mod node;
mod polling;
mod raw_blocks;
mod relay;
mod server;
mod spend;
mod truth;
mod two_nodes;
