//! Who watches what.

use super::*;
use crate::test_log::{TestLog, client, project, script, script_hash};

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
    let bytes: Vec<_> = list.iter().map(|entry| entry.script.as_bytes()).collect();
    assert_eq!(bytes, [b"a", b"b"]);
    assert_eq!(list[0].watched_at, Timestamp::from_millis(2));
    let rest = scripts.list(&client(1), Some(&script(b"b")), 9);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].script, script(b"c"));
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
            id: crate::test_log::watch(1),
            script: Sealed::Erased,
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
