//! The shape of an aggregate: a pure decision over a state that is folded from events.

use crate::event::Event;
use crate::ids::PayloadId;

#[cfg(test)]
pub(crate) mod testing;

/// A consistency boundary: one stream, one state, one set of rules.
///
/// The trait is synchronous on purpose. An aggregate that could wait could also read a clock or
/// a network, and then the same history would no longer give the same state.
pub trait Aggregate: Clone + Default + Send + Sync + 'static {
    /// What a caller can ask of it. Carries the time and every id it may need.
    type Command: Send + Sync;
    /// What has happened to it.
    type Event: Clone + Into<Event> + Send + Sync;
    /// Why a command was refused. A closed set; nothing was changed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The first part of its stream names, before the first `-`.
    const CATEGORY: &'static str;

    /// The event of this aggregate inside a stored event, if it is one of its own.
    fn own_event(event: &Event) -> Option<&Self::Event>;

    /// Decides a command against the current state. An empty list means that what was asked for
    /// already holds.
    ///
    /// # Errors
    /// The aggregate's own refusal; the state is unchanged.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Applies an event that has happened. Total: history is never refused.
    fn evolve(&mut self, event: &Self::Event);

    /// The payloads that `event` closes for ever, seen from the state *before* it is applied.
    /// The event log destroys their keys together with the append of the event.
    fn payloads_closed_by(&self, event: &Self::Event) -> Vec<PayloadId> {
        let _ = event;
        Vec::new()
    }

    /// How many parts the state is made of, each of the order of 100 bytes, so that a cache of
    /// states can bound the memory it uses. Must not cost a walk over the state.
    fn weight(&self) -> usize {
        1
    }
}
