//! The rules.

use crate::aggregate::Aggregate;
use crate::event::Event;

use super::{Watchlist, WatchlistCommand, WatchlistError, WatchlistEvent};

impl Aggregate for Watchlist {
    type Command = WatchlistCommand;
    type Event = WatchlistEvent;
    type Error = WatchlistError;

    const CATEGORY: &'static str = "watchlist";

    fn own_event(event: &Event) -> Option<&WatchlistEvent> {
        match event {
            Event::Watchlist(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, _command: &WatchlistCommand) -> Result<Vec<WatchlistEvent>, WatchlistError> {
        todo!()
    }

    fn evolve(&mut self, _event: &WatchlistEvent) {
        todo!()
    }
}
