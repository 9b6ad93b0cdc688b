//! The line of a mailbox, as its recipient is given it.

use satpost_domain::mailbox::chain_start;

use super::*;
use crate::test_log::{TestLog, chain_hash, client, key, message, project};

const ALL: usize = usize::MAX;

/// A mailbox of client 1 with messages `1..=count`, the first accepted at 1 ms, one a millisecond,
/// each waiting until 1,000 ms + its seq.
fn filled(count: u64) -> TestLog {
    let mut log = TestLog::default();
    log.open(key(1), client(1));
    for seq in 1..=count {
        log.now = seq;
        log.accept(key(1), seq, 1_000 + seq);
    }
    log
}

fn park(log: &mut TestLog, seq: u64) {
    let (at, reason) = (log.at(), ParkReason::Decrypt);
    log.mailbox(key(1), MailboxEvent::MessageParked { seq, reason, at });
}

fn acknowledge(log: &mut TestLog, through: u64) {
    let (at, count) = (log.at(), 0);
    log.mailbox(
        key(1),
        MailboxEvent::MessagesAcknowledged { through, count, at },
    );
}

fn lose(log: &mut TestLog, seq: u64) {
    let (at, reason) = (log.at(), GoneReason::Expired);
    log.mailbox(key(1), MailboxEvent::MessageGone { seq, reason, at });
}

fn seqs(page: &QueuePage) -> Vec<u64> {
    page.messages.iter().map(|message| message.seq).collect()
}

fn head(seq: u64) -> QueueHead {
    let chain = match seq {
        0 => chain_start(&key(1)),
        seq => chain_hash(seq),
    };
    QueueHead { seq, chain }
}

#[test]
fn an_empty_mailbox_stands_at_the_start_of_its_chain() {
    let queues: MailboxQueue = project(&filled(0));
    let page = queues.page(&key(1), 0, ALL, ALL).unwrap();
    assert_eq!(
        (seqs(&page), page.more, page.head),
        (vec![], false, head(0))
    );
    assert_eq!(queues.page(&key(2), 0, ALL, ALL), None);
    assert_eq!(queues.owner(&key(1)), Some(client(1)));
}

#[test]
fn pages_through_the_line_and_says_when_more_waits() {
    let queues: MailboxQueue = project(&filled(5));
    let page = queues.page(&key(1), 0, 2, ALL).unwrap();
    assert_eq!(
        (seqs(&page), page.more, page.head),
        (vec![1, 2], true, head(2))
    );
    let page = queues.page(&key(1), 2, 3, ALL).unwrap();
    assert_eq!(
        (seqs(&page), page.more, page.head),
        (vec![3, 4, 5], false, head(5))
    );
}

#[test]
fn a_page_has_at_least_one_message_whatever_the_bounds() {
    let queues: MailboxQueue = project(&filled(3));
    let page = queues.page(&key(1), 0, ALL, 1_024).unwrap();
    assert_eq!((seqs(&page), page.more), (vec![1, 2], true));
    for (messages, bytes) in [(ALL, 0), (0, ALL)] {
        let page = queues.page(&key(1), 0, messages, bytes).unwrap();
        assert_eq!((seqs(&page), page.more), (vec![1], true));
    }
}

#[test]
fn a_page_that_delivers_nothing_tells_no_chain_that_could_acknowledge_something() {
    let queues: MailboxQueue = project(&filled(3));
    for after in [3, 4, u64::MAX] {
        let page = queues.page(&key(1), after, ALL, ALL).unwrap();
        assert_eq!((seqs(&page), page.head), (vec![], head(0)));
    }
}

#[test]
fn acknowledged_messages_never_come_back() {
    let mut log = filled(4);
    acknowledge(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let page = queues.page(&key(1), 0, ALL, ALL).unwrap();
    assert_eq!(seqs(&page), [3, 4]);
    let summary = queues.summary(&key(1)).unwrap();
    assert_eq!((summary.acknowledged, summary.messages), (2, 2));
    assert_eq!(summary.oldest, Some(Timestamp::from_millis(3)));
    acknowledge(&mut log, 4);
    let queues: MailboxQueue = project(&log);
    assert_eq!(
        queues.page(&key(1), 0, ALL, ALL).unwrap().head,
        head(4),
        "an empty line ends where it is acknowledged"
    );
}

#[test]
fn a_tombstone_keeps_its_place_until_it_is_acknowledged() {
    let mut log = filled(3);
    lose(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let page = queues.page(&key(1), 0, ALL, ALL).unwrap();
    assert_eq!(seqs(&page), [1, 2, 3]);
    assert_eq!(page.messages[1].gone, Some(GoneReason::Expired));
    let summary = queues.summary(&key(1)).unwrap();
    assert_eq!((summary.messages, summary.bytes), (2, 1_024));
    acknowledge(&mut log, 3);
    let queues: MailboxQueue = project(&log);
    assert_eq!(queues.summary(&key(1)).unwrap().messages, 0);
}

#[test]
fn a_parked_message_leaves_the_line_and_survives_the_acknowledgement() {
    let mut log = filled(3);
    park(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let page = queues.page(&key(1), 0, ALL, ALL).unwrap();
    assert_eq!((seqs(&page), page.head), (vec![1, 3], head(3)));

    acknowledge(&mut log, 3);
    let queues: MailboxQueue = project(&log);
    let parked = queues.parked(&key(1)).unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].seq, parked[0].id), (2, message(2)));
    let summary = queues.summary(&key(1)).unwrap();
    assert_eq!((summary.messages, summary.parked), (1, 1));

    let at = log.at();
    log.mailbox(
        key(1),
        MailboxEvent::ParkedMessagesAcknowledged { seqs: vec![2], at },
    );
    let queues: MailboxQueue = project(&log);
    assert_eq!(queues.parked(&key(1)), Some(vec![]));
}

#[test]
fn the_chain_at_a_parked_message_is_kept_even_after_it_was_acknowledged_apart() {
    let mut log = filled(2);
    park(&mut log, 2);
    let at = log.at();
    log.mailbox(
        key(1),
        MailboxEvent::ParkedMessagesAcknowledged { seqs: vec![2], at },
    );
    acknowledge(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let page = queues.page(&key(1), 0, ALL, ALL).unwrap();
    assert_eq!(page.head, head(2));
    assert_eq!(queues.summary(&key(1)).unwrap().messages, 0);
}

#[test]
fn a_parked_message_that_expires_is_parked_no_more() {
    let mut log = filled(2);
    park(&mut log, 1);
    park(&mut log, 2);
    acknowledge(&mut log, 1);
    lose(&mut log, 1);
    lose(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    assert_eq!(queues.parked(&key(1)), Some(vec![]));
    assert_eq!(queues.expired(Timestamp::from_millis(9_999), ALL), []);
}

#[test]
fn knows_which_mailboxes_hold_an_expired_message() {
    let mut log = filled(2);
    log.open(key(2), client(2));
    log.accept(key(2), 1, 500);
    let queues: MailboxQueue = project(&log);
    let expired = |queues: &MailboxQueue, now| queues.expired(Timestamp::from_millis(now), ALL);
    assert_eq!(expired(&queues, 499), []);
    assert_eq!(expired(&queues, 500), [key(2)]);
    assert_eq!(expired(&queues, 1_001), [key(2), key(1)]);
    assert_eq!(queues.expired(Timestamp::from_millis(1_001), 1), [key(2)]);

    acknowledge(&mut log, 1);
    let queues: MailboxQueue = project(&log);
    assert_eq!(
        expired(&queues, 1_001),
        [key(2)],
        "the next one has more time"
    );
    assert_eq!(expired(&queues, 1_002), [key(2), key(1)]);
}

#[test]
fn a_closed_mailbox_takes_no_messages_and_is_forgotten_when_nothing_is_held() {
    let mut log = filled(2);
    let at = log.at();
    lose(&mut log, 1);
    log.mailbox(key(1), MailboxEvent::MailboxClosed { at });
    let queues: MailboxQueue = project(&log);
    assert_eq!(queues.owner(&key(1)), None);
    assert_eq!(queues.len(), 1, "a message is still held");
    lose(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    assert!(queues.is_empty());
    assert_eq!(queues.expired(Timestamp::from_millis(9_999), ALL), []);
}
