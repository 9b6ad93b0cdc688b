//! Property tests of the aggregates against models that are simple enough to be believed, and of
//! the command handler over a log that fails.
//!
//! A failure prints its smallest case and keeps its seed in a `.regressions` file beside the test,
//! so that `cargo nextest run -p satpost-tests --test model` meets it again first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chain;
mod client;
mod handler;
mod history;
mod mailbox;
mod projections;
mod support;
mod watcher;
mod watchlist;
