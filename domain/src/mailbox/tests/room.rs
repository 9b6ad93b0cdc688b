//! A full mailbox says so once, and once that there is room again.

use super::*;
use crate::limits::MAILBOX_MESSAGES_MAX;

const NOTE: MailboxCommand = MailboxCommand::NoteFull { at: NOON };
const HAS_ROOM: MailboxEvent = MailboxEvent::MailboxHasRoom { at: NOON };
const FULL: u64 = MAILBOX_MESSAGES_MAX as u64;
/// Through which message a full mailbox is acknowledged until there is enough room.
const ENOUGH: u64 = FULL / 4;

fn filled() -> Given<Mailbox> {
    holding(FULL).after(&NOTE)
}

#[test]
fn says_once_that_it_is_full() {
    let said = MailboxEvent::MailboxFilled { at: NOON };
    holding(FULL).when(&NOTE).then([said]);
    filled().when(&NOTE).then_nothing();
}

#[test]
fn is_not_full_when_there_was_room_in_the_meantime() {
    holding(FULL - ENOUGH).when(&NOTE).then_nothing();
    given::<Mailbox>([]).when(&NOTE).then_nothing();
}

#[test]
fn says_that_there_is_room_when_enough_of_it_is_free() {
    filled()
        .when(&acknowledge(ENOUGH - 1, chain(ENOUGH - 1)))
        .then([acknowledged(ENOUGH - 1, ENOUGH - 1)]);
    filled()
        .when(&acknowledge(ENOUGH, chain(ENOUGH)))
        .then([acknowledged(ENOUGH, ENOUGH), HAS_ROOM]);
    filled()
        .after(&acknowledge(ENOUGH, chain(ENOUGH)))
        .when(&acknowledge(ENOUGH + 1, chain(ENOUGH + 1)))
        .then([acknowledged(ENOUGH + 1, 1)]);
}

#[test]
fn any_ending_makes_room() {
    let wiped = (1..=FULL).map(|seq| gone(seq, GoneReason::Wiped, NOON));
    filled().when(&WIPE).then(wiped.chain([HAS_ROOM]));
}

#[test]
fn a_mailbox_that_was_never_full_says_nothing_about_room() {
    holding(FULL)
        .when(&acknowledge(FULL, chain(FULL)))
        .then([acknowledged(FULL, FULL)]);
}
