//! What keeps the house in order: layers, file shapes, documents that match the code.
//!
//! With `UPDATE_DOCS=1` the generated documents are written instead of compared.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test at the edge reads the clock and the environment"
)]

mod documents;
mod generated;
mod layers;
mod source;
