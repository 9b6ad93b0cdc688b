//! Requests, responses, error codes and the request-signature profile of the Satpost API.
//!
//! Shared by the server and the client SDK. Keys, ids and digests are lower-case hexadecimal text,
//! times are milliseconds since the Unix epoch, amounts are satoshi, positions are opaque text.
//!
//! # Layout
//! - [`clients`], [`addresses`], [`balance`], [`transactions`], [`messages`], [`batch`], [`mailboxes`],
//!   [`prices`], [`push`], [`service`]: the shapes.
//! - [`live`]: what streams and sockets of a mailbox carry; [`message_body`]: sealed bytes in both forms.
//! - [`problem`]: RFC 9457 problems and the closed list of codes.
//! - [`signature`]: the RFC 9421 profile both sides build the same signature base from.
//! - [`esplora`]: the shapes of the Esplora API, which are not ours and have their own rules.
//! - [`header`]: names of the headers that are ours.

pub mod addresses;
pub mod balance;
pub mod batch;
pub mod clients;
pub mod esplora;
pub mod header;
pub mod live;
pub mod mailboxes;
pub mod message_body;
pub mod messages;
pub mod prices;
pub mod problem;
pub mod push;
pub mod service;
pub mod signature;
pub mod transactions;
