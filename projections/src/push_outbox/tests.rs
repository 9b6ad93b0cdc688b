//! What is owed to phones.

use satpost_domain::Timestamp;
use satpost_domain::chain::ChainEvent;
use satpost_domain::client::PushDeathReason;
use satpost_domain::limits::PUSH_CODE_ATTEMPTS_MAX;

use super::*;
use crate::test_log::{
    TestLog, block, client, key, project, registration, target, touch, txid, watch,
};

const LATER: u64 = 1_000_000;

/// Client 1 with mailbox 1 and the active push target 7.
fn active() -> TestLog {
    let mut log = TestLog::default();
    log.open(key(1), client(1));
    log.register(client(1), key(1));
    log.set_push(client(1), 7, LATER);
    log.verify(client(1), 7);
    log
}

fn woken(log: &mut TestLog, id: u8, through: u64) {
    let at = log.at();
    log.client(
        client(1),
        ClientEvent::PushWoken {
            id: target(id),
            through,
            at,
        },
    );
}

/// Who is owed what.
fn due(log: &TestLog) -> Vec<(ClientId, DueKind)> {
    let outbox: PushOutbox = project(log);
    let due = outbox.due(None, usize::MAX);
    assert_eq!(due.len(), outbox.owed());
    due.into_iter().map(|due| (due.client, due.kind)).collect()
}

fn wake(through: u64) -> Vec<(ClientId, DueKind)> {
    vec![(client(1), DueKind::Wake { through })]
}

/// The log as a rebuild sees it after the scripts of these entries were erased.
fn erased(log: &TestLog, ids: &[u8]) -> TestLog {
    let mut envelopes = log.envelopes.clone();
    for envelope in &mut envelopes {
        if let Event::Watchlist(WatchlistEvent::AddressWatched { id, target, .. }) =
            &mut envelope.event
            && ids.iter().any(|erased| watch(*erased) == *id)
        {
            *target = Sealed::Erased;
        }
    }
    TestLog {
        now: log.now,
        envelopes,
    }
}

#[test]
fn one_wake_up_covers_every_message_so_far() {
    let mut log = active();
    assert_eq!(due(&log), []);
    log.accept(key(1), 1, LATER);
    log.accept(key(1), 2, LATER);
    assert_eq!(due(&log), wake(2));
    woken(&mut log, 7, 1);
    assert_eq!(
        due(&log),
        wake(2),
        "the second came after the push was sent"
    );
    woken(&mut log, 7, 2);
    assert_eq!(due(&log), []);
    log.accept(key(1), 3, LATER);
    assert_eq!(due(&log), wake(3));
}

#[test]
fn a_message_that_was_acknowledged_before_the_push_wakes_nobody() {
    let acknowledged = |log: &mut TestLog, through| {
        let at = log.at();
        let event = MailboxEvent::MessagesAcknowledged {
            through,
            count: 1,
            at,
        };
        log.mailbox(key(1), event);
    };
    let mut log = active();
    log.accept(key(1), 1, LATER);
    log.accept(key(1), 2, LATER);
    acknowledged(&mut log, 1);
    assert_eq!(due(&log), wake(2), "the second still waits");
    acknowledged(&mut log, 2);
    assert_eq!(due(&log), []);
    log.watch(client(1), 1, b"a");
    log.seen(1, b"a");
    log.accept(key(1), 3, LATER);
    acknowledged(&mut log, 3);
    assert_eq!(due(&log), wake(3), "the transaction is still owed");
}

#[test]
fn a_block_that_is_undone_and_replaced_is_one_wake_up() {
    let mut log = active();
    log.watch(client(1), 1, b"a");
    let confirmed = |height| ChainEvent::TransactionConfirmed {
        txid: txid(1),
        touch: touch(b"a"),
        inputs: Vec::new(),
        block: block(height),
        index: 1,
        backfilled: false,
    };
    log.chain(confirmed(7));
    assert_eq!(due(&log), wake(1));
    woken(&mut log, 7, 1);
    log.chain(ChainEvent::TransactionUnconfirmed {
        txid: txid(1),
        script_hash: touch(b"a").script_hash,
        block: block(7),
        was_final: false,
    });
    log.chain(confirmed(8));
    assert_eq!(due(&log), wake(3), "one wake-up for both");
    woken(&mut log, 7, 3);
    assert_eq!(due(&log), []);
}

#[test]
fn looks_at_no_more_than_it_is_asked_to_and_copies_only_what_is_wanted() {
    let mut log = TestLog::default();
    for byte in 1..=5 {
        log.set_push(client(byte), byte, LATER);
    }
    let outbox: PushOutbox = project(&log);
    let odd = |id: &ClientId, _: PushTargetId, _: DueKind| id.as_bytes()[0] % 2 == 1;
    let page = outbox.due_page(None, 3, odd);
    let clients: Vec<_> = page.due.iter().map(|due| due.client).collect();
    assert_eq!(clients, [client(1), client(3)]);
    assert_eq!((page.last, page.more), (Some(client(3)), true));
    let page = outbox.due_page(page.last, 3, odd);
    let clients: Vec<_> = page.due.iter().map(|due| due.client).collect();
    assert_eq!((clients, page.more), (vec![client(5)], false));
}

#[test]
fn names_the_targets_that_are_in_use() {
    let mut log = active();
    log.set_push(client(2), 8, LATER);
    let outbox: PushOutbox = project(&log);
    assert_eq!(outbox.active(), [client(1)]);
    let active = outbox.active_target(&client(1));
    assert_eq!(active, Some((target(7), registration(7))));
    assert_eq!(outbox.active_target(&client(2)), None);
}

#[test]
fn a_message_for_somebody_else_wakes_nobody() {
    let mut log = active();
    log.open(key(2), client(2));
    log.accept(key(2), 1, LATER);
    assert_eq!(due(&log), []);
}

#[test]
fn a_transaction_wakes_each_watcher_of_its_script() {
    let mut log = active();
    log.set_push(client(2), 8, LATER);
    log.verify(client(2), 8);
    log.watch(client(1), 1, b"shared");
    log.watch(client(2), 2, b"shared");
    log.watch(client(2), 3, b"other");
    log.seen(1, b"shared");
    let through = 1;
    assert_eq!(
        due(&log),
        [
            (client(1), DueKind::Wake { through }),
            (client(2), DueKind::Wake { through })
        ]
    );
    woken(&mut log, 7, 1);
    log.evicted(1, b"shared");
    log.seen(2, b"unwatched");
    assert_eq!(due(&log)[0], (client(1), DueKind::Wake { through: 2 }));
}

#[test]
fn pages_by_ascending_client() {
    let mut log = TestLog::default();
    for byte in [3, 1, 2] {
        log.set_push(client(byte), byte, LATER);
    }
    let outbox: PushOutbox = project(&log);
    let page = |after, max| -> Vec<_> {
        let due = outbox.due(after, max);
        due.into_iter().map(|due| due.client).collect()
    };
    assert_eq!(page(None, 2), [client(1), client(2)]);
    assert_eq!(page(Some(client(2)), 2), [client(3)]);
    let first = &outbox.due(None, 1)[0];
    assert_eq!(
        (first.id, &first.registration),
        (target(1), &registration(1))
    );
}

#[test]
fn a_pending_target_is_owed_its_code_and_no_wake_up() {
    let mut log = TestLog::default();
    log.open(key(1), client(1));
    log.set_push(client(1), 7, LATER);
    log.accept(key(1), 1, LATER);
    assert_eq!(due(&log), [(client(1), DueKind::Verification)]);
    log.verify(client(1), 7);
    assert_eq!(due(&log), wake(1), "what came before the target is owed");
}

#[test]
fn triggers_survive_a_new_target() {
    let mut log = active();
    log.accept(key(1), 1, LATER);
    log.set_push(client(1), 8, LATER);
    assert_eq!(due(&log), [(client(1), DueKind::Verification)]);
    log.verify(client(1), 8);
    assert_eq!(due(&log), wake(1));
}

#[test]
fn an_expired_code_is_not_sent_any_more() {
    let mut log = TestLog::default();
    log.set_push(client(1), 7, 500);
    log.now = 499;
    log.register(client(2), key(2));
    assert_eq!(due(&log), [(client(1), DueKind::Verification)]);
    log.now = 500;
    log.register(client(3), key(3));
    assert_eq!(due(&log), []);
}

#[test]
fn a_code_is_not_sent_any_more_after_too_many_wrong_ones() {
    let mut log = TestLog::default();
    log.set_push(client(1), 7, LATER);
    let at = log.at();
    for _ in 0..PUSH_CODE_ATTEMPTS_MAX {
        assert_eq!(due(&log), [(client(1), DueKind::Verification)]);
        log.client(
            client(1),
            ClientEvent::PushCodeRefused { id: target(7), at },
        );
    }
    assert_eq!(due(&log), []);
}

#[test]
fn a_dead_or_removed_target_is_owed_nothing() {
    let at = Timestamp::from_millis(0);
    let (id, reason) = (target(7), PushDeathReason::Gone);
    for end in [
        ClientEvent::PushTargetDead { id, reason, at },
        ClientEvent::PushTargetRemoved { id, at },
    ] {
        let mut log = active();
        log.accept(key(1), 1, LATER);
        log.client(client(1), end);
        assert_eq!(due(&log), []);
    }
}

#[test]
fn a_retired_client_leaves_nothing_behind() {
    let mut log = active();
    log.watch(client(1), 1, b"a");
    log.watch(client(2), 2, b"a");
    log.accept(key(1), 1, LATER);
    let at = log.at();
    log.client(client(1), ClientEvent::ClientRetired { at });
    log.accept(key(1), 2, LATER);
    log.mailbox(key(1), MailboxEvent::MailboxClosed { at });
    log.unwatch(client(1), 1);
    log.unwatch(client(2), 2);
    let outbox: PushOutbox = project(&log);
    assert_eq!(outbox.owed(), 0);
    assert!(outbox.accounts.all().is_empty());
    assert!(outbox.mailboxes.is_empty());
    assert!(outbox.watchers.clients().is_empty());
}

#[test]
fn a_rebuild_that_cannot_see_an_erased_script_misses_no_later_trigger() {
    let mut log = active();
    log.watch(client(1), 1, b"a");
    log.seen(1, b"a");
    log.seen(2, b"a");
    woken(&mut log, 7, 2);
    log.unwatch(client(1), 1);
    log.accept(key(1), 1, LATER);
    let rebuilt = erased(&log, &[1]);
    assert_eq!(due(&log), wake(3));
    assert_eq!(due(&rebuilt), wake(3));
    let (live, rebuilt): (PushOutbox, PushOutbox) = (project(&log), project(&rebuilt));
    assert_eq!(live.snapshot(), rebuilt.snapshot());
}

#[test]
fn an_unwatched_script_owes_no_wake_up_and_the_trigger_before_it_counts_again() {
    let mut log = active();
    log.watch(client(1), 1, b"a");
    log.watch(client(1), 2, b"b");
    log.seen(1, b"a");
    log.seen(2, b"b");
    assert_eq!(due(&log), wake(2));
    log.unwatch(client(1), 2);
    assert_eq!(due(&log), wake(1));
    log.unwatch(client(1), 1);
    assert_eq!(due(&log), []);
    let rebuilt: PushOutbox = project(&erased(&log, &[1, 2]));
    assert_eq!(rebuilt.snapshot(), project::<PushOutbox>(&log).snapshot());
}
