//! The rules.

use std::collections::BTreeSet;

use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::ids::{PayloadId, ScriptHash, WatchId};
use crate::limits::EVENTS_PER_COMMAND_MAX;
use crate::sealed::Sealed;
use crate::time::Timestamp;

use super::{
    NewWatch, WatchBounds, WatchOptions, Watchlist, WatchlistCommand, WatchlistError,
    WatchlistEvent,
};

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
            WatchlistCommand::Watch {
                watches,
                bounds,
                at,
            } => self.watch(watches, bounds, *at),
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
            WatchlistEvent::AddressWatched { .. } | WatchlistEvent::WatchOptionsChanged { .. } => {
                Vec::new()
            }
            WatchlistEvent::AddressUnwatched { id, .. } => vec![PayloadId::from(*id)],
        }
    }

    fn weight(&self) -> usize {
        // Each script is kept under its id and under itself.
        1 + 2 * self.by_id.len()
    }
}

impl Watchlist {
    fn watch(&self, watches: &[NewWatch], bounds: &WatchBounds, at: Timestamp) -> Decision {
        countable(watches.len())?;
        let mut named = BTreeSet::new();
        let mut events = Vec::with_capacity(watches.len());
        let mut added = 0;
        for watch in watches {
            if let Some(birthday) = watch.wish.birthday {
                birthday.check(bounds, at)?;
            }
            let script = watch.target.hash();
            if !named.insert(script) {
                continue;
            }
            let known = self.by_script.get(&script);
            let before = known.map_or_else(WatchOptions::default, |entry| entry.options);
            let options = watch.wish.applied_to(before);
            match known {
                None => {
                    added += 1;
                    events.push(WatchlistEvent::AddressWatched {
                        id: watch.id,
                        target: Sealed::Present(watch.target.clone()),
                        options,
                        at,
                    });
                }
                Some(entry) if options != before => {
                    events.push(WatchlistEvent::WatchOptionsChanged {
                        id: entry.id,
                        options,
                        at,
                    });
                }
                Some(_) => {}
            }
        }
        let (watched, max) = (self.len(), bounds.list_max);
        if added > 0 && watched + added > max {
            return Err(WatchlistError::Full {
                watched,
                added,
                max,
            });
        }
        Ok(events)
    }

    fn unwatch(&self, scripts: &[ScriptHash], at: Timestamp) -> Decision {
        countable(scripts.len())?;
        let mut named = BTreeSet::new();
        let mut ids = Vec::with_capacity(scripts.len());
        for script in scripts {
            let entry = self.by_script.get(script);
            let id = entry.ok_or(WatchlistError::NotWatched)?.id;
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
    if (1..=EVENTS_PER_COMMAND_MAX).contains(&actual) {
        Ok(())
    } else {
        Err(WatchlistError::Count { actual })
    }
}
