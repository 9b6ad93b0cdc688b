//! The shape of a projection: a state folded from every event of the log.

use satpost_domain::Envelope;

/// A snapshot cannot be used; the projection is rebuilt instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot does not decode: {reason}")]
pub struct SnapshotError {
    /// What is wrong, for the operator.
    pub reason: String,
}

/// A view of the log that can be dropped and rebuilt from it at any time.
pub trait Projection: Default + Send + Sync + 'static {
    /// Its name in files, metrics and operator commands.
    const NAME: &'static str;
    /// Raised when its state or its meaning changes; a snapshot of another version is dropped.
    const VERSION: u32;

    /// Takes the next event. Total: unknown or erased content is skipped, never refused.
    fn apply(&mut self, envelope: &Envelope);

    /// The whole state in a canonical form: equal states give equal bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// The state of a snapshot of this version.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are not a snapshot of this version.
    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError>;

    /// The state of a snapshot of this version as a tree for people and their tools: lists of
    /// entries, each with the id it is found by. It shows everything the state holds.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are not a snapshot of this version.
    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError>;
}
