//! Whether everything that was closed is gone, and everything that is open is there: what the events
//! say about each payload is folded anew, and compared with what lies in the files.
//!
//! - [`books`]: what the events say, from the rules of the aggregates and not from what the log or
//!   the store erased.
//! - [`check`]: what lies in the files, compared with the books, more than once beside a server that
//!   is at work.
//! - [`finding`]: what can be wrong, with a stable code for each.
//! - `other_files`: what else in the data folder could hold a payload.

pub mod books;
pub mod check;
pub mod finding;
mod other_files;
#[cfg(test)]
mod tests;
