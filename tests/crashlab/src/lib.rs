//! The crash laboratory: breaks the event log and the server on purpose, and checks that nothing
//! acknowledged is lost.
//!
//! - [`storage_operations`]: every storage operation of a script fails, in every way, in memory.
//! - [`byte_flips`]: any byte of a data folder is changed.
//! - [`kills`]: `kill -9` of the real server under load.
//! - [`power_cuts`]: the power is cut under a writer on a real file system.
//! - [`system_calls`]: single system calls of the real server fail.
//! - [`full_disk`]: the disk of the real server fills up.
//! - [`controls`]: the checks are shown logs that break their word.
//!
//! [`history`] is the one checker of the log; [`report`] is what every experiment gives.

#![allow(
    clippy::disallowed_methods,
    reason = "a laboratory at the edge: real processes, real time, real disks"
)]

pub mod byte_flips;
pub mod campaign;
pub mod controls;
pub mod full_disk;
pub mod history;
pub mod kills;
mod mount;
pub mod power_cuts;
mod progress;
pub mod report;
pub mod simulated_disk;
pub mod storage_operations;
pub mod system_calls;
pub mod writer;
