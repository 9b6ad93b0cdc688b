//! Measures the event log, and whatever else keeps events, under the same load: closed-loop writers
//! that each append to a stream of their own, expect the exact revision, and wait for the answer.
//!
//! One harness for three programs: `satpostd bench log` runs it on the machine of an operator,
//! `cargo bench -p satpost-tests --bench log` adds an engine to compare with, `tests/peers` drives
//! servers over the wire.
//!
//! - [`contender`]: what is measured; [`embedded`] is ours, [`over_grpc`] is it behind its protocol,
//!   [`naive`] are loops to compare with.
//! - [`workload`]: the load; [`contest`]: interleaved rounds of it, and what they say.
//! - [`recovery`]: a process is killed under load; [`erasure`]: keys are destroyed under load; [`reads`]: opening, scanning, following,
//!   and what the tools do that go through all of it.
//! - [`chain`]: the other half of the server, from the node to the log. [`messages`]: the server as its
//!   clients see it.
//! - [`log_bench`]: all of it in one run; [`report`]: tables for people, lines for programs.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time; nothing that is stored depends on it"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and shares for people, far below 2^52"
)]

use std::io;
use std::path::{Path, PathBuf};

use satpost_commands::ports::LogError;
use satpost_event_store::storage::OpenError;

pub mod arguments;
pub mod bench_folder;
pub mod chain;
pub mod contender;
pub mod contest;
pub mod cost;
mod counting_storage;
pub mod embedded;
pub mod erasure;
pub mod log_bench;
pub mod messages;
pub mod naive;
pub mod over_grpc;
pub mod reads;
pub mod recovery;
pub mod report;
mod sweeps;
pub mod workload;

/// Why a benchmark gives no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The folder holds something already, and a benchmark removes what is in its folder.
    #[error("the folder {} is not empty; a benchmark works in an empty one only", folder.display())]
    NotEmpty {
        /// The folder that was named.
        folder: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The embedded log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The embedded log refused what it has to accept.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What is measured failed, so there is nothing to measure.
    #[error("{contender} failed: {reason}")]
    Contender {
        /// Its name.
        contender: String,
        /// What it said.
        reason: String,
    },
    /// Somebody stopped it.
    #[error("stopped before the end; there are no figures")]
    Interrupted,
    /// Events that were acknowledged are not there, or more than one that was not is.
    #[error("after a kill {lost} acknowledged events are lost and {phantom} are there unasked")]
    Lost {
        /// Acknowledged and gone.
        lost: u64,
        /// Never asked for.
        phantom: u64,
    },
}

impl BenchError {
    /// For `map_err`: names what was tried on which path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// For `map_err`: names who failed.
    pub fn of<E: std::fmt::Display>(contender: &str) -> impl FnOnce(E) -> Self {
        let contender = contender.to_owned();
        move |error| Self::Contender {
            contender,
            reason: error.to_string(),
        }
    }
}
