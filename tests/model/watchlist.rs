//! The watch list against a map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use satpost_domain::chain::DepthSet;
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::{EVENTS_PER_COMMAND_MAX, WATCHED_ADDRESSES_MAX};
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{
    Birthday, BirthdayError, NewWatch, WatchBounds, WatchOptions, WatchTarget, WatchWish,
    Watchlist, WatchlistCommand, WatchlistError, WatchlistEvent,
};
use satpost_domain::{PayloadId, Sealed, Timestamp, WatchId};

use crate::support::{Life, config};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const TIP: u32 = 1_000;
const BOUNDS: WatchBounds = WatchBounds::new(Network::Regtest, Some(TIP));

/// Something that happens to the watch list.
#[derive(Debug, Clone)]
enum Happening {
    /// Scripts are watched; a script that is named twice has two ids.
    Watch(Vec<u32>),
    /// Scripts are watched, some by their hashes, with wishes.
    Wish(Vec<(u32, bool, Option<u32>, Option<u32>)>),
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
    let wishes = || {
        let depth = proptest::option::of(2..5_u32);
        let birthday =
            proptest::option::weighted(0.3, prop_oneof![9 => 0..3_u32, 1 => Just(TIP + 145)]);
        proptest::collection::vec((0..12_u32, any::<bool>(), depth, birthday), 1..6)
    };
    prop_oneof![
        6 => scripts().prop_map(Happening::Watch),
        1 => prop_oneof![9 => 1..300_u32, 1 => 9_980..10_020_u32].prop_map(Happening::WatchMany),
        1 => proptest::collection::vec(any::<u32>(), 1_020..1_030).prop_map(Happening::Watch),
        6 => wishes().prop_map(Happening::Wish),
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
    watched: BTreeMap<ScriptHash, (WatchId, WatchOptions)>,
    ids: u128,
    last_command: Option<WatchlistCommand>,
}

impl World {
    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Watch(scripts) => self.watch_scripts(scripts),
            Happening::Wish(wishes) => self.wish(wishes),
            Happening::WatchMany(count) => {
                let numbers: Vec<u32> = (1_000_000..1_000_000 + count).collect();
                for some in numbers.chunks(EVENTS_PER_COMMAND_MAX) {
                    self.watch_scripts(some);
                }
            }
            Happening::Unwatch(scripts) => {
                self.unwatch(
                    scripts
                        .iter()
                        .map(|number| script(*number).hash())
                        .collect(),
                );
            }
            Happening::UnwatchSome(count) => {
                let some = self.watched.keys().step_by(3).take(*count);
                self.unwatch(some.copied().collect());
            }
            Happening::Clear => self.clear(),
            Happening::Repeat => self.repeat(),
            Happening::Reload => self.watchlist.reload(as_read),
        }
    }

    fn watch_scripts(&mut self, numbers: &[u32]) {
        let watch = |number: &u32| (script(*number).into(), WatchWish::default());
        self.watch(numbers.iter().map(watch).collect());
    }

    fn wish(&mut self, wishes: &[(u32, bool, Option<u32>, Option<u32>)]) {
        let watches = wishes.iter().map(|(number, by_hash, depth, birthday)| {
            let script = script(*number);
            let target: WatchTarget = if *by_hash {
                script.hash().into()
            } else {
                script.into()
            };
            let wish = WatchWish {
                depths: depth.map(|depth| DepthSet::new([depth]).unwrap()),
                birthday: birthday.map(Birthday::Height),
            };
            (target, wish)
        });
        self.watch(watches.collect());
    }

    fn watch(&mut self, watches: Vec<(WatchTarget, WatchWish)>) {
        let actual = watches.len();
        let absurd = watches.iter().find_map(|(_, wish)| match wish.birthday {
            Some(Birthday::Height(height)) if height > TIP + 144 => {
                Some(BirthdayError::BeyondTip { height, tip: TIP })
            }
            _ => None,
        });
        let watches: Vec<_> = watches
            .into_iter()
            .map(|(target, wish)| {
                self.ids += 1;
                NewWatch {
                    id: WatchId::new(self.ids.to_be_bytes()),
                    target,
                    wish,
                }
            })
            .collect();
        let mut after = self.watched.clone();
        let mut events = Vec::new();
        let mut named = BTreeSet::new();
        for NewWatch { id, target, wish } in &watches {
            if !named.insert(target.hash()) {
                continue;
            }
            let known = self.watched.get(&target.hash()).copied();
            let mut options = known.unwrap_or((*id, WatchOptions::default())).1;
            options.depths = wish.depths.unwrap_or(options.depths);
            options.birthday = wish.birthday.or(options.birthday);
            after.insert(target.hash(), (known.map_or(*id, |(id, _)| id), options));
            match known {
                None => events.push(WatchlistEvent::AddressWatched {
                    id: *id,
                    target: Sealed::Present(target.clone()),
                    options,
                    at: AT,
                }),
                Some((id, before)) if before != options => {
                    events.push(WatchlistEvent::WatchOptionsChanged {
                        id,
                        options,
                        at: AT,
                    });
                }
                Some(_) => {}
            }
        }
        let watched = self.watched.len();
        let added = after.len() - watched;
        let expected = if !(1..=EVENTS_PER_COMMAND_MAX).contains(&actual) {
            Err(WatchlistError::Count { actual })
        } else if let Some(absurd) = absurd {
            Err(absurd.into())
        } else if added > 0 && after.len() > WATCHED_ADDRESSES_MAX {
            Err(WatchlistError::Full {
                watched,
                added,
                max: WATCHED_ADDRESSES_MAX,
            })
        } else {
            self.watched = after;
            Ok(events)
        };
        self.ask(
            WatchlistCommand::Watch {
                watches,
                bounds: BOUNDS,
                at: AT,
            },
            &expected,
        );
    }

    fn unwatch(&mut self, scripts: Vec<ScriptHash>) {
        let actual = scripts.len();
        let expected = if !(1..=EVENTS_PER_COMMAND_MAX).contains(&actual) {
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
                .map(|(id, _)| WatchlistEvent::AddressUnwatched { id, at: AT })
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
                other => panic!("a clear watches nothing, it gave {other:?}"),
            }));
        }
        let watched = std::mem::take(&mut self.watched).into_values();
        let mut expected: Vec<_> = watched.map(|(id, _)| id).collect();
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
        WatchlistEvent::AddressWatched {
            id, options, at, ..
        } if closed.contains(&(*id).into()) => WatchlistEvent::AddressWatched {
            id: *id,
            target: Sealed::Erased,
            options: *options,
            at: *at,
        },
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
            for (script, (_, options)) in &world.watched {
                prop_assert_eq!(world.watchlist.state.options(script), Some(*options));
            }
        }
        world.happen(&Happening::Clear);
        world.happen(&Happening::Reload);
        let history = world.watchlist.history.iter();
        let ids: BTreeSet<PayloadId> = history
            .filter_map(|event| match event {
                WatchlistEvent::AddressWatched { id, .. } => Some((*id).into()),
                WatchlistEvent::WatchOptionsChanged { .. }
                | WatchlistEvent::AddressUnwatched { .. } => None,
            })
            .collect();
        prop_assert_eq!(world.watchlist.closed(), &ids, "every entry that ever was is closed");
    }
}
