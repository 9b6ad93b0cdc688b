//! Tests against a real node in regtest mode.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod node;
