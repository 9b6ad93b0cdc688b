//! Moves a log between engines and machines: a file that holds it without loss, and the way back.
//!
//! - [`head`]: a digest over the events that every engine gives alike.
//! - [`record`]: what a file consists of; `json_lines` and `binary`: its two forms; [`file`](mod@file): reading
//!   and writing either.
//! - [`export`], [`import`]: a log to a file, a file to a log.
//!
//! Everything goes through the port `EventStore`, so it is the same for every engine. The port does not
//! tell which append erased a payload, so a file holds no erasures: an erased payload is simply not
//! there, and its event says so.

mod binary;
pub mod export;
pub mod file;
pub mod head;
pub mod import;
mod json_lines;
mod pages;
pub mod record;
#[cfg(test)]
mod tests;
