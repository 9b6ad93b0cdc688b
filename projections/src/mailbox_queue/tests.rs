//! The line of a mailbox, as its recipient is given it.

use satpost_domain::StreamId;
use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket, chain_start};

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

/// What a page says when the log has completed it.
fn complete(log: &TestLog, places: Places) -> QueuePage {
    let (stream, asked) = (StreamId::mailbox(places.mailbox), places.revisions());
    let accepted = |revision| {
        assert!(asked.contains(&revision), "{revision} was not asked for");
        let mut events = log.envelopes.iter();
        let found = events.find(|event| event.stream == stream && event.revision == revision)?;
        match &found.event {
            Event::Mailbox(event) => Some(event),
            _ => None,
        }
    };
    places.complete(accepted).unwrap()
}

fn page_of(
    log: &TestLog,
    queues: &MailboxQueue,
    after: u64,
    max_messages: usize,
    max_bytes: usize,
) -> QueuePage {
    let places = queues.page(&key(1), after, max_messages, max_bytes);
    complete(log, places.unwrap())
}

fn parked_of(log: &TestLog, queues: &MailboxQueue) -> Vec<QueuedMessage> {
    let places = queues.parked(&key(1), 0, ALL, ALL).unwrap();
    complete(log, places).messages
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
    let log = filled(0);
    let queues: MailboxQueue = project(&log);
    let page = page_of(&log, &queues, 0, ALL, ALL);
    assert_eq!(
        (seqs(&page), page.more, page.head),
        (vec![], false, head(0))
    );
    assert_eq!(queues.page(&key(2), 0, ALL, ALL), None);
    assert!(!queues.contains(&key(2)));
    assert!(queues.is_open(&key(1)) && !queues.is_open(&key(2)));
}

#[test]
fn pages_through_the_line_and_says_when_more_waits() {
    let log = filled(5);
    let queues: MailboxQueue = project(&log);
    let page = page_of(&log, &queues, 0, 2, ALL);
    assert_eq!(
        (seqs(&page), page.more, page.head),
        (vec![1, 2], true, head(2))
    );
    let page = page_of(&log, &queues, 2, 3, ALL);
    assert_eq!(
        (seqs(&page), page.more, page.head),
        (vec![3, 4, 5], false, head(5))
    );
}

#[test]
fn a_page_has_at_least_one_message_whatever_the_bounds() {
    let log = filled(3);
    let queues: MailboxQueue = project(&log);
    let page = page_of(&log, &queues, 0, ALL, 1_024);
    assert_eq!((seqs(&page), page.more), (vec![1, 2], true));
    for (messages, bytes) in [(ALL, 0), (0, ALL)] {
        let page = page_of(&log, &queues, 0, messages, bytes);
        assert_eq!((seqs(&page), page.more), (vec![1], true));
    }
}

#[test]
fn a_page_that_delivers_nothing_tells_no_chain_that_could_acknowledge_something() {
    let log = filled(3);
    let queues: MailboxQueue = project(&log);
    for after in [3, 4, u64::MAX] {
        let page = page_of(&log, &queues, after, ALL, ALL);
        assert_eq!((seqs(&page), page.head), (vec![], head(0)));
    }
}

#[test]
fn acknowledged_messages_never_come_back() {
    let mut log = filled(4);
    acknowledge(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let page = page_of(&log, &queues, 0, ALL, ALL);
    assert_eq!(seqs(&page), [3, 4]);
    let summary = queues.summary(&key(1)).unwrap();
    assert_eq!((summary.acknowledged, summary.messages), (2, 2));
    assert_eq!(summary.oldest, Some(Timestamp::from_millis(3)));
    acknowledge(&mut log, 4);
    let queues: MailboxQueue = project(&log);
    assert_eq!(
        page_of(&log, &queues, 0, ALL, ALL).head,
        head(4),
        "an empty line ends where it is acknowledged"
    );
}

#[test]
fn a_tombstone_keeps_its_place_until_it_is_acknowledged() {
    let mut log = filled(3);
    lose(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let page = page_of(&log, &queues, 0, ALL, ALL);
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
    let page = page_of(&log, &queues, 0, ALL, ALL);
    assert_eq!((seqs(&page), page.head), (vec![1, 3], head(3)));

    acknowledge(&mut log, 3);
    let queues: MailboxQueue = project(&log);
    let parked = parked_of(&log, &queues);
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
    assert_eq!(parked_of(&log, &queues), []);
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
    let page = page_of(&log, &queues, 0, ALL, ALL);
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
    assert_eq!(parked_of(&log, &queues), []);
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
    assert!(!queues.is_open(&key(1)) && queues.contains(&key(1)));
    assert_eq!(queues.len(), 1, "a message is still held");
    lose(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    assert!(queues.is_empty());
    assert_eq!(queues.expired(Timestamp::from_millis(9_999), ALL), []);
}

#[test]
fn pages_through_parked_messages_and_tells_no_chain_of_the_line() {
    let mut log = filled(5);
    for seq in [1, 3, 4] {
        park(&mut log, seq);
    }
    acknowledge(&mut log, 2);
    let queues: MailboxQueue = project(&log);
    let part = |after, messages, bytes| {
        let places = queues.parked(&key(1), after, messages, bytes).unwrap();
        complete(&log, places)
    };
    let first = part(0, 2, ALL);
    assert_eq!(
        (seqs(&first), first.more, first.head),
        (vec![1, 3], true, head(2))
    );
    let second = part(3, 2, ALL);
    assert_eq!((seqs(&second), second.more), (vec![4], false));
    assert_eq!(seqs(&part(0, ALL, 0)), [1], "one message always fits");
    assert!(seqs(&part(4, ALL, ALL)).is_empty());
}

#[test]
fn a_page_is_not_made_of_other_events() {
    let queues: MailboxQueue = project(&filled(2));
    let places = || queues.page(&key(1), 0, ALL, ALL).unwrap();
    assert_eq!(places().complete(|_| None), None);
    let at = Timestamp::from_millis(1);
    let other = MailboxEvent::MailboxClosed { at };
    assert_eq!(places().complete(|_| Some(&other)), None);
}

#[test]
fn a_long_line_gives_its_memory_back_when_it_is_short_again() {
    let mut queue = Queue::new(key(1));
    let (at, size) = (Timestamp::from_millis(1), SizeBucket::of(512).unwrap());
    for seq in 1..=1_000 {
        let waiting = Waiting::new(satpost_domain::Revision(seq), (size, false), at, at);
        queue.accept(seq, waiting);
    }
    assert!(queue.busy().unwrap().line.capacity() <= 1_250);
    queue.acknowledge(990);
    assert!(queue.busy().unwrap().line.capacity() <= 250);
    queue.acknowledge(1_000);
    assert!(queue.busy().is_none());
}
