//! Tests of adapters against real counterparts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod eventstoredb;
mod forwarding_restart;
mod linearizable;
mod log_tools;
mod moves;
mod price;
mod process;
mod push;
mod push_constant;
mod push_foreign;
mod push_outbox;
mod push_providers;
mod push_restart;
mod wallets;
