//! The crash laboratory: breaks the event log and the server on purpose, and checks that nothing
//! acknowledged is lost.
//!
//! - [`storage_operations`]: every storage operation of a script fails, in every way, in memory.
//!
//! [`history`] is the one checker of the log; [`report`] is what every experiment gives.

#![allow(
    clippy::disallowed_methods,
    reason = "a laboratory at the edge: real processes, real time, real disks"
)]

pub mod history;
mod progress;
pub mod random;
pub mod report;
pub mod simulated_disk;
pub mod storage_operations;
