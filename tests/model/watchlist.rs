//! The watch list against a map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use satpost_domain::limits::{ADDRESSES_PER_REQUEST_MAX, WATCHED_ADDRESSES_MAX};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{Watchlist, WatchlistCommand, WatchlistError, WatchlistEvent};
use satpost_domain::{PayloadId, Sealed, Timestamp, WatchId};

use crate::support::{Life, config};

const AT: Timestamp = Timestamp::from_millis(7);

/// Something that happens to the watch list.
#[derive(Debug, Clone)]
enum Happening {
    /// Scripts are watched; a script that is named twice has two ids.
    Watch(Vec<u32>),
    /// So many further scripts are watched in as many requests as it takes.
    WatchMany(u32),
    /// Scripts are no longer watched.
    Unwatch(Vec<u32>),
    /// Up to so many of the watched scripts are no longer watched.
    UnwatchSome(usize),
    /// Everything is forgotten, a round at a time.
    Clear,
    /// The last command comes again.
    Repeat,
    /// The server is restarted, and the scripts of closed entries are gone.
    Reload,
}

fn happening() -> impl Strategy<Value = Happening> {
    let scripts = || proptest::collection::vec(0..12_u32, 0..6);
    prop_oneof![
        6 => scripts().prop_map(Happening::Watch),
        1 => prop_oneof![9 => 1..300_u32, 1 => 9_980..10_020_u32].prop_map(Happening::WatchMany),
        1 => proptest::collection::vec(any::<u32>(), 95..105).prop_map(Happening::Watch),
        4 => scripts().prop_map(Happening::Unwatch),
        4 => (1..10_usize).prop_map(Happening::UnwatchSome),
        1 => Just(Happening::Clear),
        2 => Just(Happening::Repeat),
        2 => Just(Happening::Reload),
    ]
}

fn script(number: u32) -> Script {
    Script::new(&number.to_be_bytes()).unwrap()
}

struct World {
    watchlist: Life<Watchlist>,
    watched: BTreeMap<Script, WatchId>,
    ids: u128,
    last_command: Option<WatchlistCommand>,
}

impl World {
    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Watch(scripts) => self.watch(scripts.iter().copied().map(script).collect()),
            Happening::WatchMany(count) => {
                let numbers: Vec<u32> = (1_000_000..1_000_000 + count).collect();
                for some in numbers.chunks(ADDRESSES_PER_REQUEST_MAX) {
                    self.watch(some.iter().copied().map(script).collect());
                }
            }
            Happening::Unwatch(scripts) => {
                self.unwatch(scripts.iter().copied().map(script).collect());
            }
            Happening::UnwatchSome(count) => {
                let some = self.watched.keys().step_by(3).take(*count);
                self.unwatch(some.cloned().collect());
            }
            Happening::Clear => self.clear(),
            Happening::Repeat => self.repeat(),
            Happening::Reload => self.watchlist.reload(as_read),
        }
    }

    fn watch(&mut self, scripts: Vec<Script>) {
        let actual = scripts.len();
        let named: Vec<_> = scripts
            .into_iter()
            .map(|script| {
                self.ids += 1;
                (WatchId::new(self.ids.to_be_bytes()), script)
            })
            .collect();
        let mut new = BTreeMap::new();
        let mut added = Vec::new();
        for (id, script) in &named {
            if !self.watched.contains_key(script) && !new.contains_key(script) {
                new.insert(script.clone(), *id);
                let script = Sealed::Present(script.clone());
                added.push(WatchlistEvent::AddressWatched {
                    id: *id,
                    script,
                    at: AT,
                });
            }
        }
        let watched = self.watched.len();
        let expected = if !(1..=ADDRESSES_PER_REQUEST_MAX).contains(&actual) {
            Err(WatchlistError::Count { actual })
        } else if watched + new.len() > WATCHED_ADDRESSES_MAX {
            Err(WatchlistError::Full {
                watched,
                added: added.len(),
            })
        } else {
            self.watched.extend(new);
            Ok(added)
        };
        self.ask(
            WatchlistCommand::Watch {
                scripts: named,
                at: AT,
            },
            &expected,
        );
    }

    fn unwatch(&mut self, scripts: Vec<Script>) {
        let actual = scripts.len();
        let expected = if !(1..=ADDRESSES_PER_REQUEST_MAX).contains(&actual) {
            Err(WatchlistError::Count { actual })
        } else if scripts
            .iter()
            .all(|script| self.watched.contains_key(script))
        {
            // A script that is named twice is found once.
            let found = scripts
                .iter()
                .filter_map(|script| self.watched.remove(script));
            Ok(found
                .map(|id| WatchlistEvent::AddressUnwatched { id, at: AT })
                .collect())
        } else {
            Err(WatchlistError::NotWatched)
        };
        self.ask(WatchlistCommand::Unwatch { scripts, at: AT }, &expected);
    }

    fn clear(&mut self) {
        let clear = WatchlistCommand::Clear { at: AT };
        let mut forgotten = Vec::new();
        loop {
            let events = self.watchlist.ask(&clear).unwrap();
            if events.is_empty() {
                break;
            }
            forgotten.extend(events.into_iter().map(|event| match event {
                WatchlistEvent::AddressUnwatched { id, .. } => id,
                WatchlistEvent::AddressWatched { .. } => panic!("a clear watches nothing"),
            }));
        }
        let mut expected: Vec<_> = std::mem::take(&mut self.watched).into_values().collect();
        expected.sort();
        assert_eq!(forgotten, expected);
        self.last_command = Some(clear);
    }

    fn repeat(&mut self) {
        if let Some(command) = self.last_command.take() {
            let again = self.watchlist.ask(&command).unwrap_or_default();
            assert!(
                again.is_empty(),
                "{command:?} did something again: {again:?}"
            );
        }
    }

    fn ask(
        &mut self,
        command: WatchlistCommand,
        expected: &Result<Vec<WatchlistEvent>, WatchlistError>,
    ) {
        assert_eq!(&self.watchlist.ask(&command), expected, "{command:?}");
        self.last_command = Some(command);
    }
}

/// The script of an entry is erased together with its end.
fn as_read(event: &WatchlistEvent, closed: &BTreeSet<PayloadId>) -> WatchlistEvent {
    match event {
        WatchlistEvent::AddressWatched { id, at, .. } if closed.contains(&(*id).into()) => {
            WatchlistEvent::AddressWatched {
                id: *id,
                script: Sealed::Erased,
                at: *at,
            }
        }
        _ => event.clone(),
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn does_what_a_map_says(
        happenings in proptest::collection::vec(happening(), 1..60),
    ) {
        let mut world = World {
            watchlist: Life::new(),
            watched: BTreeMap::new(),
            ids: 0,
            last_command: None,
        };
        for happening in &happenings {
            world.happen(happening);
            prop_assert_eq!(world.watchlist.state.len(), world.watched.len());
        }
        world.happen(&Happening::Clear);
        world.happen(&Happening::Reload);
        let history = world.watchlist.history.iter();
        let ids: BTreeSet<PayloadId> = history
            .filter_map(|event| match event {
                WatchlistEvent::AddressWatched { id, .. } => Some((*id).into()),
                WatchlistEvent::AddressUnwatched { .. } => None,
            })
            .collect();
        prop_assert_eq!(world.watchlist.closed(), &ids, "every entry that ever was is closed");
    }
}
