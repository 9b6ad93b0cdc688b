//! The rules.

use std::collections::BTreeSet;

use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::ids::{PayloadId, WatchId};
use crate::limits::{ADDRESSES_PER_REQUEST_MAX, EVENTS_PER_COMMAND_MAX, WATCHED_ADDRESSES_MAX};
use crate::script::Script;
use crate::sealed::Sealed;
use crate::time::Timestamp;

use super::{Watchlist, WatchlistCommand, WatchlistError, WatchlistEvent};

type Decision = Result<Vec<WatchlistEvent>, WatchlistError>;

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

    fn decide(&self, command: &WatchlistCommand) -> Decision {
        match command {
            WatchlistCommand::Watch { scripts, at } => self.watch(scripts, *at),
            WatchlistCommand::Unwatch { scripts, at } => self.unwatch(scripts, *at),
            WatchlistCommand::Clear { at } => {
                let some = self.by_id.keys().take(EVENTS_PER_COMMAND_MAX);
                Ok(unwatched(some.copied(), *at))
            }
        }
    }

    fn evolve(&mut self, event: &WatchlistEvent) {
        self.apply(event);
    }

    fn payloads_closed_by(&self, event: &WatchlistEvent) -> Vec<PayloadId> {
        match event {
            WatchlistEvent::AddressWatched { .. } => Vec::new(),
            WatchlistEvent::AddressUnwatched { id, .. } => vec![PayloadId::from(*id)],
        }
    }

    fn weight(&self) -> usize {
        // Each script is kept under its id and under itself.
        1 + 2 * self.by_id.len()
    }
}

impl Watchlist {
    fn watch(&self, scripts: &[(WatchId, Script)], at: Timestamp) -> Decision {
        countable(scripts.len())?;
        let mut named = BTreeSet::new();
        let events: Vec<_> = scripts
            .iter()
            .filter(|(_, script)| !self.by_script.contains_key(script) && named.insert(script))
            .map(|(id, script)| WatchlistEvent::AddressWatched {
                id: *id,
                script: Sealed::Present(script.clone()),
                at,
            })
            .collect();
        let (watched, added) = (self.len(), events.len());
        if watched + added > WATCHED_ADDRESSES_MAX {
            return Err(WatchlistError::Full { watched, added });
        }
        Ok(events)
    }

    fn unwatch(&self, scripts: &[Script], at: Timestamp) -> Decision {
        countable(scripts.len())?;
        let mut named = BTreeSet::new();
        let mut ids = Vec::with_capacity(scripts.len());
        for script in scripts {
            let id = self.by_script.get(script);
            let id = id.copied().ok_or(WatchlistError::NotWatched)?;
            if named.insert(id) {
                ids.push(id);
            }
        }
        Ok(unwatched(ids, at))
    }
}

fn unwatched(ids: impl IntoIterator<Item = WatchId>, at: Timestamp) -> Vec<WatchlistEvent> {
    ids.into_iter()
        .map(|id| WatchlistEvent::AddressUnwatched { id, at })
        .collect()
}

fn countable(actual: usize) -> Result<(), WatchlistError> {
    if (1..=ADDRESSES_PER_REQUEST_MAX).contains(&actual) {
        Ok(())
    } else {
        Err(WatchlistError::Count { actual })
    }
}
