//! The event log, seen by one who follows it. `infra` has the adapter.

use futures_util::stream::BoxStream;
use satpost_domain::{Envelope, Position};

/// Something a follower meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The next event.
    Event(Box<Envelope>),
    /// Nothing of interest happened up to here; a checkpoint may move.
    CheckpointAt(Position),
    /// The history is over; what follows is live.
    CaughtUp,
}

/// Why following ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event log cannot be followed: {reason}")]
pub struct FollowError {
    /// What is wrong, for the operator.
    pub reason: String,
}

/// Where projections and process managers get their events.
pub trait EventSource: Send + Sync + 'static {
    /// Every event strictly after `after`, in order: history first, then live, without end. An
    /// event may come twice after an error; consumers compare positions.
    fn follow(&self, after: Position) -> BoxStream<'static, Result<Item, FollowError>> {
        self.follow_types(after, &[])
    }

    /// The same for events of the named types only (all types when none is named), with
    /// [`Item::CheckpointAt`] in place of what was left out. Cheaper than leaving events out
    /// oneself: what is left out is neither decoded nor decrypted.
    fn follow_types(
        &self,
        after: Position,
        types: &[&'static str],
    ) -> BoxStream<'static, Result<Item, FollowError>>;
}
