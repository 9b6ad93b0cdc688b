//! Tests of adapters against real counterparts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod eventstoredb;
mod log_tools;
mod moves;
mod price;
mod process;
mod push;
