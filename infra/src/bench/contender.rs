//! What is measured: anything that appends an event to a stream where it is expected to end, and
//! answers when the event is durable.

use std::path::Path;

use async_trait::async_trait;

use super::BenchError;

/// An engine or a server, with its settings.
#[async_trait]
pub trait Contender: Send + Sync {
    /// What it is called in tables.
    fn name(&self) -> &str;

    /// Starts it on an empty folder, which exists.
    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError>;
}

/// One that runs.
#[async_trait]
pub trait Running: Send + Sync {
    /// A way in for one writer: for a server, a connection.
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError>;

    /// The process that does the work, with all its children; nothing when it is this process.
    fn server(&self) -> Option<u32> {
        None
    }

    /// How many times it has asked the disk to make something durable; nothing when it cannot tell.
    fn syncs(&self) -> Option<u64> {
        None
    }

    /// Stops it, in good order. Its files stay.
    async fn stop(self: Box<Self>) -> Result<(), BenchError>;
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is durable.
    Appended,
    /// The stream does not end where it was expected to. Nothing has changed.
    Conflict,
}

/// A way in for one writer.
#[async_trait]
pub trait Writer: Send {
    /// Appends one event to `stream`, which ends at the revision `expected` (from 0), or is absent.
    /// `id` has the form of a random UUID.
    async fn append(
        &mut self,
        stream: &str,
        expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError>;
}
