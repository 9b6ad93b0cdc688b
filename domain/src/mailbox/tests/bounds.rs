//! What a mailbox takes, and how much of it.

use std::time::Duration;

use super::*;
use crate::limits::{
    MAILBOX_BYTES_MAX, MAILBOX_LINE_MAX, MAILBOX_MESSAGES_MAX, MESSAGE_BYTES_MAX,
    MESSAGE_SIZE_BUCKETS, MESSAGE_TTL_MAX, MESSAGE_TTL_MIN, PARK_MESSAGES_MAX,
};

fn accept_sized(seq: u64, size: usize) -> MailboxCommand {
    MailboxCommand::Accept {
        id: id(seq),
        digest: digest(seq),
        size,
        ttl: None,
        introduction: shown(CONTACT),
        at: NOON,
    }
}

fn accept_for(seq: u64, ttl: Duration) -> MailboxCommand {
    MailboxCommand::Accept {
        id: id(seq),
        digest: digest(seq),
        size: 512,
        ttl: Some(ttl),
        introduction: shown(CONTACT),
        at: NOON,
    }
}

fn refuses_one_more(mailbox: Given<Mailbox>) {
    let next = u64::try_from(MAILBOX_LINE_MAX).unwrap() + 1;
    mailbox
        .when(&accept(next))
        .then_refused(&MailboxError::Full);
}

#[test]
fn takes_padded_bodies_only() {
    for size in MESSAGE_SIZE_BUCKETS {
        let taken = holding(0).after(&accept_sized(1, size));
        assert_eq!(taken.state().held_bytes, size);
    }
    for actual in [0, 511, 513, MESSAGE_BYTES_MAX + 1, usize::MAX] {
        holding(0)
            .when(&accept_sized(1, actual))
            .then_refused(&MailboxError::NotPadded { actual });
    }
}

#[test]
fn keeps_the_time_to_live_within_its_bounds() {
    for ttl in [MESSAGE_TTL_MIN, MESSAGE_TTL_MAX] {
        let taken = holding(0).after(&accept_for(1, ttl));
        assert_eq!(taken.state().line[0].expires_at, NOON.plus(ttl));
    }
    for actual in [0, 59, MESSAGE_TTL_MAX.as_secs() + 1] {
        holding(0)
            .when(&accept_for(1, Duration::from_secs(actual)))
            .then_refused(&MailboxError::TtlOutOfBounds { actual });
    }
}

#[test]
fn refuses_a_message_when_as_many_as_may_wait_do() {
    let full = || holding(MAILBOX_MESSAGES_MAX as u64);
    refuses_one_more(full());
    refuses_one_more(full().after(&park(&[1])).after(&acknowledge(1, chain(1))));
    let freed = full().after(&acknowledge(1, chain(1)));
    assert_eq!(freed.state().held.len(), MAILBOX_MESSAGES_MAX - 1);
    let next = MAILBOX_MESSAGES_MAX as u64 + 1;
    freed.when(&accept(next)).then([accepted(next)]);
}

#[test]
fn refuses_a_message_when_as_many_bytes_as_may_wait_do() {
    let mut mailbox = holding(0);
    for seq in 1..=(MAILBOX_BYTES_MAX / MESSAGE_BYTES_MAX) as u64 {
        mailbox = mailbox.after(&accept_sized(seq, MESSAGE_BYTES_MAX));
    }
    assert_eq!(mailbox.state().held_bytes, MAILBOX_BYTES_MAX);
    refuses_one_more(mailbox);
}

#[test]
fn refuses_a_message_when_tombstones_fill_the_line() {
    let mut mailbox = holding(0);
    for seq in 1..=MAILBOX_LINE_MAX as u64 {
        mailbox = mailbox.after(&accept(seq));
        if seq % 1_000 == 0 {
            mailbox = mailbox.after(&WIPE);
        }
    }
    assert_eq!(mailbox.state().held.len(), 0);
    refuses_one_more(mailbox);
}

#[test]
fn names_a_bounded_number_of_messages_at_once() {
    let actual = PARK_MESSAGES_MAX + 1;
    let many = vec![1; actual];
    let refusal = MailboxError::TooMany { actual };
    holding(1).when(&park(&many)).then_refused(&refusal);
    holding(1)
        .when(&acknowledge_parked(&many))
        .then_refused(&refusal);
}
