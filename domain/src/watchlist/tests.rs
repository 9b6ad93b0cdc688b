//! Given, when, then.

use super::{Watchlist, WatchlistCommand, WatchlistError, WatchlistEvent};
use crate::aggregate::Aggregate;
use crate::aggregate::testing::{Given, given};
use crate::ids::WatchId;
use crate::limits::{ADDRESSES_PER_REQUEST_MAX, EVENTS_PER_COMMAND_MAX, WATCHED_ADDRESSES_MAX};
use crate::script::Script;
use crate::sealed::Sealed;
use crate::time::Timestamp;

const NOON: Timestamp = Timestamp::from_millis(1_000_000);

fn script(number: usize) -> Script {
    Script::new(&number.to_be_bytes()).unwrap()
}

fn id(number: usize) -> WatchId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    WatchId::new(bytes)
}

fn watch(numbers: impl IntoIterator<Item = usize>) -> WatchlistCommand {
    WatchlistCommand::Watch {
        scripts: numbers.into_iter().map(|n| (id(n), script(n))).collect(),
        at: NOON,
    }
}

fn unwatch(numbers: impl IntoIterator<Item = usize>) -> WatchlistCommand {
    WatchlistCommand::Unwatch {
        scripts: numbers.into_iter().map(script).collect(),
        at: NOON,
    }
}

fn watched(number: usize) -> WatchlistEvent {
    WatchlistEvent::AddressWatched {
        id: id(number),
        script: Sealed::Present(script(number)),
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
    let scripts = vec![(id(1), script(1)), (id(2), script(1))];
    let twice = WatchlistCommand::Watch { scripts, at: NOON };
    watching(0).when(&twice).then([watched(1)]);
}

#[test]
fn refuses_no_scripts_and_too_many() {
    for actual in [0, ADDRESSES_PER_REQUEST_MAX + 1] {
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
        script: Sealed::Erased,
        at: NOON,
    };
    let live = given::<Watchlist>([watched(0), watched(1), unwatched(1)]);
    let replayed = given::<Watchlist>([watched(0), erased, unwatched(1)]);
    assert_eq!(live.state(), replayed.state());
    assert_eq!(live.state().len(), 1);
    assert!(live.state().weight() > Watchlist::default().weight());
}
