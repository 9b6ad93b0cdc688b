//! Rust client SDK of Satpost: everything a wallet needs to use a server that it need not trust.
//!
//! # Layout
//! - [`seed`], [`keys`], [`onion`], [`receive_address`]: from 12 or 24 words to every key and address.
//! - [`http`], [`request_signer`], [`base_url`]: signed calls, one method for each route.
//! - [`envelope`], [`sealing`], [`padding`], [`link`]: messages that only their recipient can read, whose
//!   sender only the recipient learns, and whose loss is noticed.
//! - [`event_stream`], [`merkle_proof`]: what happens to transactions, and the proof that it did.
//! - [`mailbox_check`], [`evidence`]: holds the server to what it signed, and keeps what it broke.
//! - [`contact_card`], [`token`]: what people hand to each other, and what lets them write.
//! - [`web_push`], [`push_service`]: being woken.
//! - [`descriptor`]: the scripts of other wallets, for watching.
//! - [`store`], [`seed_file`], [`backup`]: what a wallet keeps, sealed on disk.
//! - [`wallet`]: the flows on top of all that; start here.
//! - [`ports`], [`system`]: where time and randomness enter.

pub mod backup;
pub mod base_url;
pub mod contact_card;
pub mod descriptor;
pub mod envelope;
pub mod event_stream;
pub mod evidence;
pub mod http;
pub mod keys;
pub mod link;
pub mod mailbox_check;
pub mod merkle_proof;
pub mod onion;
pub mod padding;
pub mod ports;
pub mod push_service;
pub mod receive_address;
pub mod request_signer;
pub mod sealing;
pub mod seed;
pub mod seed_file;
pub mod store;
pub mod system;
pub mod token;
pub mod wallet;
pub mod web_push;
mod work;

#[cfg(test)]
mod testing;
