//! The payloads beside a log: each is encrypted under its own random key, and erasing it is
//! destroying the key at once and the ciphertext within a minute.
//!
//! ```text
//! payloads/keys           one key in each slot of 64 bytes; slots never move
//! payloads/<number>.blob  ciphertexts, one frame after another
//! ```
//!
//! What is alive is decided by the event log: a payload is alive when an event names it and no
//! later event erases it. The store can therefore be brought back in line with the log whenever it
//! is opened. A store without a log ([`LocalPayloadStore`]) is decided by its keys.
//!
//! - `seal`: encrypting and decrypting.
//! - `key_file`: the slots; `key_copy`: a copy of them elsewhere, for backups.
//! - `blob_segment`: the form of the ciphertext files.
//! - `index`: where each living payload is, in memory.
//! - `writer`: storing and erasing, used by the one thread that writes.
//! - `keeper`: overwriting what is erased and giving space back, in the background.
//! - `scan`, `recovery`: finding what is alive when the store is opened.
//! - `local`: the store on its own, for a log that is elsewhere.
//!
//! # Order of durability
//! 1. Ciphertext and key, side by side.
//! 2. The event that names the payload, or that erases it.
//! 3. The key of an erased payload is overwritten in place. Only now is the append answered.
//! 4. Every few seconds the ciphertexts of erased payloads are overwritten with zeros, or become
//!    holes in their files; files in which nothing is alive are removed; what is alive in sparse
//!    files is copied and durable before it is found there and before the old file goes.
//!
//! Whatever the process ends between, opening the store carries 3 and 4 out again: slots and bytes
//! that belong to nothing that is alive are overwritten. That includes payloads whose event never
//! became durable.
//!
//! # Limits
//! - A disk that remaps (an SSD) or a file system that copies on write may keep the old bytes of a
//!   slot that was overwritten; so does a snapshot of the volume, and a copy of the files. Keys
//!   must not be in backups that are kept.
//! - Blocks of removed files and of holes hold ciphertext until the file system uses them again.
//! - When the disk fails to sync zeros and the store is opened again without a restart of the
//!   machine, the page cache may hide ciphertext that is still on the disk. Keys are written again
//!   at every opening for this reason; ciphertexts are not.

use std::sync::Arc;

use async_trait::async_trait;
use satpost_commands::ports::LogError;
use satpost_domain::PayloadId;

pub(crate) mod blob_segment;
#[cfg(any(test, feature = "testing"))]
pub mod canary;
pub(crate) mod index;
pub(crate) mod keeper;
pub(crate) mod key_copy;
pub(crate) mod key_file;
mod local;
pub(crate) mod recovery;
mod scan;
pub(crate) mod seal;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

pub use self::key_copy::{KeyCopy, copy_payload_keys};
pub use self::local::{LocalPayloadStore, LocalPayloadStoreOptions};

/// The folder of the store inside the data folder.
pub(crate) const FOLDER: &str = "payloads";

/// Erasable payloads by their ids, for an engine whose log is elsewhere.
#[async_trait]
pub trait PayloadStore: Send + Sync + 'static {
    /// Stores `payloads`, durably when it returns. An id that is in use is replaced: what it named
    /// before is erased.
    ///
    /// # Errors
    /// [`LogError`]; after `TooLarge` and `Unavailable` nothing has changed, otherwise any of
    /// `payloads` may be stored.
    async fn store(&self, payloads: Vec<(PayloadId, Arc<[u8]>)>) -> Result<(), LogError>;

    /// Erases `ids`: their keys are destroyed, durably, when it returns. Unknown ids do nothing.
    ///
    /// # Errors
    /// [`LogError`]; any of `ids` may be erased then.
    async fn erase(&self, ids: Vec<PayloadId>) -> Result<(), LogError>;

    /// The bytes of a payload; nothing when it is unknown or erased.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be read.
    async fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError>;

    /// The ids of everything that is alive, in no order, for bringing the store in line with its
    /// log.
    ///
    /// # Errors
    /// [`LogError`] when the store cannot be read.
    async fn alive(&self) -> Result<Vec<PayloadId>, LogError>;
}
