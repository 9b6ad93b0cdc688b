//! Given, when, then.

use std::time::Duration;

use super::{
    Birthday, BirthdayError, NewWatch, WatchBounds, WatchOptions, WatchTarget, WatchWish,
    Watchlist, WatchlistCommand, WatchlistError, WatchlistEvent,
};
use crate::aggregate::Aggregate;
use crate::aggregate::testing::{Given, given};
use crate::chain::DepthSet;
use crate::ids::WatchId;
use crate::limits::{
    BIRTHDAY_AHEAD_BLOCKS_MAX, BIRTHDAY_AHEAD_MAX, EVENTS_PER_COMMAND_MAX, WATCHED_ADDRESSES_MAX,
};
use crate::network::Network;
use crate::script::Script;
use crate::sealed::Sealed;
use crate::time::Timestamp;

/// 2023-11-14.
const NOON: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const TIP: u32 = 800_000;
const BOUNDS: WatchBounds = WatchBounds::new(Network::Mainnet, Some(TIP));

fn script(number: usize) -> Script {
    Script::new(&number.to_be_bytes()).unwrap()
}

fn id(number: usize) -> WatchId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    WatchId::new(bytes)
}

fn new_watch(number: usize, wish: WatchWish) -> NewWatch {
    NewWatch {
        id: id(number),
        target: script(number).into(),
        wish,
    }
}

fn watch(numbers: impl IntoIterator<Item = usize>) -> WatchlistCommand {
    let wish = WatchWish::default();
    watch_all(numbers.into_iter().map(|n| new_watch(n, wish)).collect())
}

fn watch_all(watches: Vec<NewWatch>) -> WatchlistCommand {
    WatchlistCommand::Watch {
        watches,
        bounds: BOUNDS,
        at: NOON,
    }
}

fn unwatch(numbers: impl IntoIterator<Item = usize>) -> WatchlistCommand {
    WatchlistCommand::Unwatch {
        scripts: numbers.into_iter().map(|n| script(n).hash()).collect(),
        at: NOON,
    }
}

fn watched(number: usize) -> WatchlistEvent {
    watched_with(number, WatchOptions::default())
}

fn watched_with(number: usize, options: WatchOptions) -> WatchlistEvent {
    WatchlistEvent::AddressWatched {
        id: id(number),
        target: Sealed::Present(script(number).into()),
        options,
        at: NOON,
    }
}

fn unwatched(number: usize) -> WatchlistEvent {
    WatchlistEvent::AddressUnwatched {
        id: id(number),
        at: NOON,
    }
}

fn watching(count: usize) -> Given<Watchlist> {
    given::<Watchlist>((0..count).map(watched))
}

#[test]
fn watches_new_scripts_and_leaves_known_ones() {
    watching(1)
        .when(&watch([0, 1, 2]))
        .then([watched(1), watched(2)]);
    watching(2).when(&watch([0, 1])).then_nothing();
}

#[test]
fn watches_a_script_that_is_named_twice_once() {
    let first = new_watch(1, WatchWish::default());
    let second = NewWatch {
        id: id(2),
        wish: from(Birthday::Height(7)),
        ..first.clone()
    };
    watching(0)
        .when(&watch_all(vec![first, second]))
        .then([watched(1)]);
}

#[test]
fn refuses_no_scripts_and_too_many() {
    for actual in [0, EVENTS_PER_COMMAND_MAX + 1] {
        let refusal = WatchlistError::Count { actual };
        watching(0).when(&watch(0..actual)).then_refused(&refusal);
        watching(0).when(&unwatch(0..actual)).then_refused(&refusal);
    }
}

#[test]
fn is_filled_to_the_last_place_and_no_further() {
    let last = WATCHED_ADDRESSES_MAX - 1;
    watching(last).when(&watch([last])).then([watched(last)]);
    watching(last)
        .when(&watch([last, last + 1]))
        .then_refused(&WatchlistError::Full {
            watched: last,
            added: 2,
            max: WATCHED_ADDRESSES_MAX,
        });
}

#[test]
fn known_scripts_take_no_place_in_a_full_list() {
    watching(WATCHED_ADDRESSES_MAX)
        .when(&watch([0, 1]))
        .then_nothing();
}

#[test]
fn forgets_scripts_that_are_no_longer_watched() {
    watching(3)
        .when(&unwatch([2, 0, 2]))
        .then([unwatched(2), unwatched(0)])
        .closing([id(2).into(), id(0).into()]);
}

#[test]
fn refuses_to_forget_what_is_not_watched_and_then_forgets_nothing() {
    watching(1)
        .when(&unwatch([0, 1]))
        .then_refused(&WatchlistError::NotWatched);
}

#[test]
fn clears_a_long_list_in_rounds() {
    let clear = WatchlistCommand::Clear { at: NOON };
    let first_round: Vec<_> = (0..EVENTS_PER_COMMAND_MAX).map(unwatched).collect();
    let list = EVENTS_PER_COMMAND_MAX + 1;
    watching(list).when(&clear).then(first_round);
    watching(list)
        .after(&clear)
        .when(&clear)
        .then([unwatched(list - 1)]);
    watching(list)
        .after(&clear)
        .after(&clear)
        .when(&clear)
        .then_nothing();
}

#[test]
fn a_history_with_erased_scripts_gives_the_same_list() {
    let erased = WatchlistEvent::AddressWatched {
        id: id(1),
        target: Sealed::Erased,
        options: WatchOptions::default(),
        at: NOON,
    };
    let changed = changed(1, WatchOptions::default());
    let live = given::<Watchlist>([watched(0), watched(1), changed.clone(), unwatched(1)]);
    let replayed = given::<Watchlist>([watched(0), erased, changed, unwatched(1)]);
    assert_eq!(live.state(), replayed.state());
    assert_eq!(live.state().len(), 1);
    assert!(live.state().weight() > Watchlist::default().weight());
}

fn from(birthday: Birthday) -> WatchWish {
    WatchWish {
        depths: None,
        birthday: Some(birthday),
    }
}

fn changed(number: usize, options: WatchOptions) -> WatchlistEvent {
    WatchlistEvent::WatchOptionsChanged {
        id: id(number),
        options,
        at: NOON,
    }
}

#[test]
fn settles_what_a_wish_does_not_say() {
    let birthday = Some(Birthday::Height(TIP));
    let wish = WatchWish {
        depths: Some(DepthSet::NONE),
        birthday,
    };
    let depths = DepthSet::NONE;
    watching(0)
        .when(&watch_all(vec![
            new_watch(0, wish),
            new_watch(1, WatchWish::default()),
        ]))
        .then([
            watched_with(0, WatchOptions { depths, birthday }),
            watched(1),
        ]);
}

#[test]
fn changes_only_the_options_that_are_wished_and_only_once() {
    let depths = DepthSet::new([2]).unwrap();
    let wish = WatchWish {
        depths: Some(depths),
        birthday: None,
    };
    let settled = WatchOptions {
        depths,
        birthday: Some(Birthday::Height(7)),
    };
    let before = WatchOptions {
        birthday: Some(Birthday::Height(7)),
        ..WatchOptions::default()
    };
    let command = watch_all(vec![new_watch(0, wish)]);
    let list = given::<Watchlist>([watched_with(0, before)]);
    assert_eq!(list.state().options(&script(0).hash()), Some(before));
    list.when(&command).then([changed(0, settled)]);
    given::<Watchlist>([watched_with(0, before), changed(0, settled)])
        .when(&command)
        .then_nothing();
}

#[test]
fn changes_options_in_a_full_list() {
    let wish = from(Birthday::Height(1));
    let settled = wish.applied_to(WatchOptions::default());
    watching(WATCHED_ADDRESSES_MAX)
        .when(&watch_all(vec![new_watch(0, wish)]))
        .then([changed(0, settled)]);
}

#[test]
fn knows_a_script_by_its_hash() {
    let hash = NewWatch {
        id: id(9),
        target: WatchTarget::Hash(script(0).hash()),
        wish: WatchWish::default(),
    };
    watching(1)
        .when(&watch_all(vec![hash.clone()]))
        .then_nothing();
    let by_hash = WatchlistEvent::AddressWatched {
        id: id(9),
        target: Sealed::Present(hash.target.clone()),
        options: WatchOptions::default(),
        at: NOON,
    };
    watching(0)
        .when(&watch_all(vec![hash]))
        .then([by_hash.clone()]);
    given::<Watchlist>([by_hash.clone()])
        .when(&watch([0]))
        .then_nothing();
    given::<Watchlist>([by_hash])
        .when(&unwatch([0]))
        .then([unwatched(9)]);
}

#[test]
fn takes_birthdays_up_to_the_bounds_and_refuses_the_next() {
    let ask = |birthday| {
        watch_all(vec![
            new_watch(0, WatchWish::default()),
            new_watch(1, from(birthday)),
        ])
    };
    let genesis = Network::Mainnet.genesis_at();
    let latest = NOON.plus(BIRTHDAY_AHEAD_MAX);
    let highest = TIP + BIRTHDAY_AHEAD_BLOCKS_MAX;
    let good = [
        Birthday::Height(0),
        Birthday::Height(highest),
        Birthday::Time(genesis),
        Birthday::Time(latest),
    ];
    for birthday in good {
        let options = from(birthday).applied_to(WatchOptions::default());
        watching(0)
            .when(&ask(birthday))
            .then([watched(0), watched_with(1, options)]);
    }
    let too_early = Timestamp::from_millis(genesis.as_millis() - 1);
    let too_late = latest.plus(Duration::from_millis(1));
    let bad = [
        (
            Birthday::Height(highest + 1),
            BirthdayError::BeyondTip {
                height: highest + 1,
                tip: TIP,
            },
        ),
        (
            Birthday::Time(too_early),
            BirthdayError::BeforeGenesis {
                given: too_early,
                genesis,
            },
        ),
        (
            Birthday::Time(too_late),
            BirthdayError::Future {
                given: too_late,
                now: NOON,
            },
        ),
    ];
    for (birthday, refusal) in bad {
        watching(0)
            .when(&ask(birthday))
            .then_refused(&WatchlistError::Birthday(refusal));
    }
}
