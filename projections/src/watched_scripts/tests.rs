//! Who watches what.

use satpost_domain::chain::DepthSet;
use satpost_domain::limits::DEPTH_MAX;

use super::*;
use crate::test_log::{TestLog, block, client, project, script, script_hash, watch};

#[test]
fn finds_a_watched_script_by_its_bytes() {
    let mut log = TestLog::default();
    log.watch(client(1), 1, b"first");
    let scripts: WatchedScripts = project(&log);
    assert_eq!(scripts.lookup(b"first"), Some(script_hash(b"first")));
    assert_eq!(scripts.lookup(b"firs"), None);
    assert_eq!(scripts.len(), 1);
}

#[test]
fn a_script_is_watched_until_its_last_watcher_leaves() {
    let mut log = TestLog::default();
    log.watch(client(2), 1, b"shared");
    log.watch(client(1), 2, b"shared");
    log.watch(client(3), 3, b"shared");
    let scripts: WatchedScripts = project(&log);
    let hash = script_hash(b"shared");
    let watchers: Vec<_> = scripts.watchers(&hash).collect();
    assert_eq!(watchers, [client(1), client(2), client(3)]);

    log.unwatch(client(2), 1);
    log.unwatch(client(1), 2);
    let scripts: WatchedScripts = project(&log);
    assert!(!scripts.watches(&client(1), &hash));
    assert!(scripts.watches(&client(3), &hash));
    assert_eq!(scripts.lookup(b"shared"), Some(hash));

    log.unwatch(client(3), 3);
    let scripts: WatchedScripts = project(&log);
    assert!(scripts.is_empty());
    assert_eq!(scripts.lookup(b"shared"), None);
    assert_eq!(scripts.watchers(&hash).count(), 0);
    assert_eq!(scripts.snapshot(), WatchedScripts::default().snapshot());
}

#[test]
fn lists_scripts_of_one_client_by_ascending_script() {
    let mut log = TestLog::default();
    for (id, bytes) in [(1, b"b"), (2, b"a"), (3, b"c")] {
        log.now = u64::from(id);
        log.watch(client(1), id, bytes);
    }
    log.watch(client(2), 4, b"d");
    let scripts: WatchedScripts = project(&log);
    let list = scripts.list(&client(1), None, 2);
    let targets: Vec<_> = list.into_iter().map(|entry| entry.target).collect();
    assert_eq!(targets, [script(b"a").into(), script(b"b").into()]);
    let list = scripts.list(&client(1), None, 1);
    assert_eq!(list[0].watched_at, Timestamp::from_millis(2));
    let rest = scripts.list(&client(1), Some(&script(b"b").into()), 9);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].target, script(b"c").into());
    assert_eq!(scripts.hashes(&client(1)).len(), 3);
    assert!(scripts.list(&client(9), None, 9).is_empty());
}

#[test]
fn skips_an_erased_script_and_what_ends_it() {
    let mut log = TestLog::default();
    let at = log.at();
    log.watchlist(
        client(1),
        WatchlistEvent::AddressWatched {
            id: watch(1),
            target: Sealed::Erased,
            options: WatchOptions::default(),
            at,
        },
    );
    log.unwatch(client(1), 1);
    let scripts: WatchedScripts = project(&log);
    assert!(scripts.is_empty());
}

#[test]
fn a_script_can_be_watched_again_under_a_new_id() {
    let mut log = TestLog::default();
    log.watch(client(1), 1, b"again");
    log.unwatch(client(1), 1);
    log.watch(client(1), 2, b"again");
    log.unwatch(client(1), 1);
    let scripts: WatchedScripts = project(&log);
    assert!(scripts.watches(&client(1), &script_hash(b"again")));
}

/// All depths that any watcher of a script wishes.
fn depths(scripts: &WatchedScripts, script: &ScriptHash) -> Vec<u32> {
    (2..=u32::from(DEPTH_MAX))
        .filter(|depth| scripts.is_depth_wished(script, *depth))
        .collect()
}

fn options(depths: &[u32], birthday: Option<Birthday>) -> WatchOptions {
    WatchOptions {
        depths: DepthSet::new(depths.iter().copied()).unwrap(),
        birthday,
    }
}

fn numbered(number: u32) -> satpost_domain::script::Script {
    script(&number.to_be_bytes())
}

/// The projection of `log` without snapshots between the events, for long logs.
fn folded(log: &TestLog) -> WatchedScripts {
    let mut scripts = WatchedScripts::default();
    for envelope in &log.envelopes {
        scripts.apply(envelope);
    }
    scripts
}

/// `log` as it is read later: with the scripts that are no longer watched erased.
fn erased(log: &TestLog) -> TestLog {
    let unwatched: Vec<_> = log
        .envelopes
        .iter()
        .filter_map(|envelope| match envelope.event {
            Event::Watchlist(WatchlistEvent::AddressUnwatched { id, .. }) => Some(id),
            _ => None,
        })
        .collect();
    let mut envelopes = log.envelopes.clone();
    for envelope in &mut envelopes {
        if let Event::Watchlist(WatchlistEvent::AddressWatched { id, target, .. }) =
            &mut envelope.event
            && unwatched.contains(id)
        {
            *target = Sealed::Erased;
        }
    }
    TestLog {
        envelopes,
        ..TestLog::default()
    }
}

#[test]
fn a_script_and_its_hash_are_watched_side_by_side() {
    let mut log = TestLog::default();
    let hash = script_hash(b"secret");
    log.watch_with(client(2), watch(1), hash, options(&[9], None));
    log.watch_with(
        client(1),
        watch(2),
        script(b"secret"),
        options(&[2, 9], None),
    );
    let scripts: WatchedScripts = project(&log);
    assert_eq!(scripts.lookup(b"secret"), Some(hash));
    let watchers: Vec<_> = scripts.watchers(&hash).collect();
    assert_eq!(watchers, [client(1), client(2)]);
    assert_eq!(depths(&scripts, &hash), [2, 9]);

    // The script goes with the client that told it.
    log.unwatch(client(1), 2);
    let scripts: WatchedScripts = project(&log);
    assert_eq!(scripts.lookup(b"secret"), Some(hash));
    let list = scripts.list(&client(2), None, 9);
    assert_eq!(list[0].target, WatchTarget::Hash(hash));
    assert_eq!(folded(&erased(&log)).snapshot(), scripts.snapshot());
}

#[test]
fn knows_the_depths_of_all_watchers_of_a_script() {
    let mut log = TestLog::default();
    let hash = script_hash(b"shared");
    log.watch_with(
        client(1),
        watch(1),
        script(b"shared"),
        options(&[6, 144], None),
    );
    log.watch_with(client(2), watch(2), script(b"shared"), options(&[], None));
    log.watch_with(
        client(3),
        watch(3),
        script(b"shared"),
        options(&[2, 6], None),
    );
    let scripts: WatchedScripts = project(&log);
    assert_eq!(depths(&scripts, &hash), [2, 6, 144]);
    assert_eq!(scripts.options(&client(2), &hash), Some(options(&[], None)));
    assert_eq!(depths(&scripts, &script_hash(b"other")).len(), 0);

    let at = log.at();
    let changed = WatchlistEvent::WatchOptionsChanged {
        id: watch(1),
        options: options(&[3], None),
        at,
    };
    log.watchlist(client(1), changed);
    let scripts: WatchedScripts = project(&log);
    assert_eq!(depths(&scripts, &hash), [2, 3, 6]);
}

#[test]
fn says_whose_history_is_wanted_and_up_to_where() {
    let mut log = TestLog::default();
    let early = Some(Birthday::Time(Timestamp::from_millis(5)));
    log.watch_with(client(1), watch(1), script(b"a"), options(&[], early));
    let started = HistoryEvent::BackfillStarted {
        scripts: vec![script_hash(b"a")],
        wanted: 1,
        wanted_time_secs: 0,
        from: 1,
        at: Timestamp::from_millis(0),
    };
    let started_again = started.clone();
    log.chain(started.into());
    log.watch(client(1), 2, b"b");
    let birthday = Some(Birthday::Height(7));
    log.watch_with(client(2), watch(3), script(b"b"), options(&[], birthday));
    let completed = HistoryEvent::BackfillCompleted {
        from: 1,
        through: block(100),
        at: Timestamp::from_millis(0),
    };
    log.chain(completed.into());
    log.chain(started_again.into());
    log.watchlist(
        client(1),
        WatchlistEvent::WatchOptionsChanged {
            id: watch(2),
            options: options(&[], birthday),
            at: Timestamp::from_millis(9),
        },
    );
    log.watch_with(client(2), watch(4), script(b"c"), options(&[], birthday));
    let scripts: WatchedScripts = project(&log);
    let mut wishes: Vec<_> = scripts
        .wishes()
        .map(|wish| {
            let passes = wish.passes_before;
            (wish.client, wish.script, Some(wish.birthday), passes)
        })
        .collect();
    wishes.sort_by_key(|(client, script, _, passes)| (*client, *passes, *script));
    let expected = [
        (client(1), script_hash(b"a"), early, 0),
        (client(1), script_hash(b"b"), birthday, 1),
        (client(2), script_hash(b"b"), birthday, 1),
        (client(2), script_hash(b"c"), birthday, 2),
    ];
    assert_eq!(wishes, expected);
}

#[test]
fn a_long_list_loses_nothing_when_it_is_numbered_anew() {
    const MANY: u32 = 1_000;
    let mut log = TestLog::default();
    for number in 0..MANY {
        let id = watch(7).at_place(number);
        log.watch_with(client(1), id, numbered(number), options(&[2], None));
        if number % 5 == 0 {
            let id = watch(8).at_place(number);
            log.watch_with(client(2), id, numbered(number), WatchOptions::default());
        }
    }
    let at = log.at();
    for number in (0..MANY).step_by(3) {
        let changed = WatchlistEvent::WatchOptionsChanged {
            id: watch(7).at_place(number),
            options: options(&[number % 100 + 2], None),
            at,
        };
        log.watchlist(client(1), changed);
    }
    for number in (0..MANY).filter(|number| number % 10 != 0) {
        let id = watch(7).at_place(number);
        log.watchlist(client(1), WatchlistEvent::AddressUnwatched { id, at });
    }
    let scripts = folded(&log);
    assert_eq!(scripts.hashes(&client(1)).len(), 100);
    for number in 0..MANY {
        let hash = numbered(number).hash();
        let depths = depths(&scripts, &hash);
        let expected = match number {
            number if number % 30 == 0 => options(&[number % 100 + 2, 3, 6], None).depths,
            number if number % 10 == 0 => options(&[2, 3, 6], None).depths,
            number if number % 5 == 0 => DepthSet::default(),
            _ => DepthSet::NONE,
        };
        assert_eq!(
            depths,
            expected.iter().collect::<Vec<_>>(),
            "script {number}"
        );
    }
    let again = WatchedScripts::restore(&scripts.snapshot()).unwrap();
    assert_eq!(again.snapshot(), scripts.snapshot());
    assert_eq!(folded(&erased(&log)).snapshot(), scripts.snapshot());
    // What is found by its id after all that is what was meant.
    let mut scripts = scripts;
    for number in (0..MANY).step_by(10) {
        scripts.unwatch(client(1), watch(7).at_place(number));
    }
    assert!(scripts.hashes(&client(1)).is_empty());
    assert_eq!(scripts.len(), 200);
}

#[test]
fn refuses_damaged_snapshots_without_a_panic() {
    let mut log = TestLog::default();
    log.watch(client(1), 1, b"first");
    log.watch_with(
        client(1),
        watch(2),
        script_hash(b"x"),
        WatchOptions::default(),
    );
    let snapshot = folded(&log).snapshot();
    for end in 0..snapshot.len() {
        assert!(WatchedScripts::restore(&snapshot[..end]).is_err());
    }
    for place in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[place] ^= 0x55;
        drop(WatchedScripts::restore(&damaged));
    }
}

#[test]
fn counts_the_back_fills_that_had_begun_before_a_watch() {
    let mut log = TestLog::default();
    let birthday = Some(Birthday::Height(1));
    let started = |log: &mut TestLog| {
        let at = log.at();
        let started = HistoryEvent::BackfillStarted {
            scripts: vec![script_hash(b"before")],
            wanted: 1,
            wanted_time_secs: 0,
            from: 1,
            at,
        };
        log.chain(started.into());
    };
    log.watch_with(
        client(1),
        watch(1),
        script(b"before"),
        options(&[], birthday),
    );
    // Several starts in a row are one back-fill.
    started(&mut log);
    started(&mut log);
    log.watch_with(
        client(1),
        watch(2),
        script(b"during"),
        options(&[], birthday),
    );
    let at = log.at();
    let completed = HistoryEvent::BackfillCompleted {
        from: 1,
        through: block(7),
        at,
    };
    log.chain(completed.into());
    started(&mut log);
    log.watch_with(
        client(1),
        watch(3),
        script(b"after"),
        options(&[], birthday),
    );
    let scripts: WatchedScripts = project(&log);
    let passes: Vec<_> = scripts.wishes().map(|wish| wish.passes_before).collect();
    assert_eq!(passes, [0, 1, 2]);
}
