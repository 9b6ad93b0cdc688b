//! The payloads beside the log: each is encrypted under its own random key, and erasing it is
//! destroying the key.
//!
//! Ciphertexts lie in blob segments (`payloads/<number>.blob`), which are appended to, never
//! changed, and removed when nothing in them is alive. Keys lie in `payloads/keys`, in slots that
//! never move, so that overwriting one in place leaves no copy behind. What is alive is decided by
//! the event log alone: a payload is alive when an event names it and no later event erases it.
//! The store can therefore be brought back in line with the log whenever it is opened.
//!
//! - [`seal`]: encrypting and decrypting.
//! - [`key_file`]: the slots.
//! - [`blob_segment`]: the form of the ciphertext files.
//! - [`index`]: where each living payload is, in memory.
//! - [`writer`]: storing and erasing, used by the log's writer thread only.
//! - [`recovery`]: finding what is alive when the store is opened.

pub(crate) mod blob_segment;
pub(crate) mod index;
pub(crate) mod key_file;
pub(crate) mod recovery;
pub(crate) mod seal;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

/// The folder of the store inside the data folder.
pub(crate) const FOLDER: &str = "payloads";
