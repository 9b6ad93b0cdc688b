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
//! - [`scan`], [`recovery`]: finding what is alive when the store is opened.
//! - [`local`]: the store on its own, for a log that is elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use satpost_commands::ports::LogError;
use satpost_domain::PayloadId;

pub(crate) mod blob_segment;
#[cfg(any(test, feature = "testing"))]
pub mod canary;
pub(crate) mod index;
pub(crate) mod keeper;
pub(crate) mod key_file;
mod local;
pub(crate) mod recovery;
mod scan;
pub(crate) mod seal;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

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
