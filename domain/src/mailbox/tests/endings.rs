//! Messages that end without an acknowledgement.

use super::*;
use crate::aggregate::Aggregate;

const END: Timestamp = Timestamp::from_millis(1_000_000 + 14 * 24 * 3_600_000);

const fn expire(at: Timestamp) -> MailboxCommand {
    MailboxCommand::Expire { at }
}

#[test]
fn messages_run_out_at_their_time_and_not_before() {
    assert_eq!(END, NOON.plus(MESSAGE_TTL_DEFAULT));
    let moment_before = Timestamp::from_millis(END.as_millis() - 1);
    holding(2).when(&expire(moment_before)).then_nothing();
    holding(2)
        .when(&expire(END))
        .then([
            gone(1, GoneReason::Expired, END),
            gone(2, GoneReason::Expired, END),
        ])
        .closing([payload(1), payload(2)]);
}

#[test]
fn only_messages_that_are_held_run_out() {
    holding(3)
        .after(&acknowledge(1, chain(1)))
        .after(&expire(END))
        .when(&expire(END))
        .then_nothing();
}

#[test]
fn parked_messages_run_out_too() {
    holding(2)
        .after(&park(&[1]))
        .after(&acknowledge(2, chain(2)))
        .when(&expire(END))
        .then([gone(1, GoneReason::Expired, END)])
        .closing([payload(1)]);
}

#[test]
fn a_tombstone_keeps_its_place_in_line() {
    holding(2)
        .after(&expire(END))
        .when(&acknowledge(2, chain(2)))
        .then([acknowledged(2, 0)])
        .closing([]);
}

#[test]
fn a_wipe_ends_what_waits_and_what_is_parked() {
    holding(3)
        .after(&park(&[1, 2]))
        .after(&acknowledge(1, chain(1)))
        .when(&WIPE)
        .then([
            gone(1, GoneReason::Wiped, NOON),
            gone(2, GoneReason::Wiped, NOON),
            gone(3, GoneReason::Wiped, NOON),
        ])
        .closing([payload(1), payload(2), payload(3)]);
}

#[test]
fn a_wiped_mailbox_takes_messages_again() {
    holding(1).after(&WIPE).when(&WIPE).then_nothing();
    holding(1).after(&WIPE).when(&accept(2)).then([accepted(2)]);
}

#[test]
fn a_closed_mailbox_is_wiped_and_stays_closed() {
    holding(1)
        .when(&CLOSE)
        .then([
            gone(1, GoneReason::Wiped, NOON),
            MailboxEvent::MailboxClosed { at: NOON },
        ])
        .closing([payload(1)]);
    let closed = || holding(1).after(&CLOSE);
    closed().when(&CLOSE).then_nothing();
    closed()
        .when(&accept(2))
        .then_refused(&MailboxError::NotOpen);
    closed()
        .when(&open(ALICE))
        .then_refused(&MailboxError::NotOpen);
    closed()
        .when(&open(BOB))
        .then_refused(&MailboxError::OwnedByAnother);
    closed()
        .when(&acknowledge(1, chain(1)))
        .then([acknowledged(1, 0)]);
}

#[test]
fn there_is_nothing_to_end_in_a_mailbox_that_was_never_open() {
    for command in [WIPE, CLOSE, expire(END)] {
        given::<Mailbox>([]).when(&command).then_nothing();
    }
}

#[test]
fn an_empty_line_weighs_as_much_as_a_new_one() {
    let done = holding(3).after(&acknowledge(3, chain(3)));
    assert_eq!(done.state().weight(), holding(0).state().weight());
}
