//! What is true in Satpost and who may change it.
//!
//! Pure code: no async, no I/O, no clock, no randomness. Time, ids and digests come in as
//! arguments, so the same commands always give the same events, byte for byte.
//!
//! # Layout
//! - [`aggregate`]: the shape every aggregate has (decide, evolve).
//! - [`client`], [`mailbox`], [`watchlist`], [`chain`]: the aggregates; each has the same files:
//!   command, event, state, decide, error, tests.
//! - [`price`]: one price from the quotes of many exchanges; pure as the rest, but no aggregate and no events.
//! - [`event`], [`envelope`]: one closed set of events, and what surrounds an event in the log.
//! - [`ids`], [`keys`], [`hash`], [`network`], [`push`], [`script`], [`sealed`], [`time`]: the values they are made of.
//! - [`limits`]: every bound of the system, in one file.

pub mod aggregate;
pub mod chain;
pub mod client;
pub mod envelope;
pub mod event;
pub mod hash;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod mailbox;
pub mod network;
pub mod price;
pub mod push;
pub mod script;
pub mod sealed;
pub mod time;
pub mod watchlist;

pub use aggregate::Aggregate;
pub use envelope::{Envelope, Metadata, Position, Revision, StreamId};
pub use event::Event;
pub use ids::{CommandId, EventId, MessageId, PayloadId, PushTargetId, RequestDigest, WatchId};
pub use keys::{ClientId, KeyError, MessagingKey};
pub use sealed::Sealed;
pub use time::Timestamp;
