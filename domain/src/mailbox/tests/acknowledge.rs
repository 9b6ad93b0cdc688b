//! The recipient has stored everything up to a message.

use super::*;

#[test]
fn ends_the_verified_prefix_and_nothing_behind_it() {
    holding(3)
        .when(&acknowledge(2, chain(2)))
        .then([acknowledged(2, 2)])
        .closing([payload(1), payload(2)]);
}

#[test]
fn goes_on_where_the_last_acknowledgement_ended() {
    holding(3)
        .after(&acknowledge(2, chain(2)))
        .when(&acknowledge(3, chain(3)))
        .then([acknowledged(3, 1)])
        .closing([payload(3)]);
}

#[test]
fn a_repeat_changes_nothing() {
    let done = || holding(3).after(&acknowledge(2, chain(2)));
    done().when(&acknowledge(2, chain(2))).then_nothing();
    done().when(&acknowledge(1, chain(1))).then_nothing();
    done()
        .when(&acknowledge(0, chain_start(&KEY)))
        .then_nothing();
}

#[test]
fn the_last_acknowledged_message_is_still_compared() {
    holding(3)
        .after(&acknowledge(2, chain(2)))
        .when(&acknowledge(2, chain(1)))
        .then_refused(&MailboxError::ChainMismatch {
            through: 2,
            expected: chain(2),
        });
}

#[test]
fn nothing_acknowledged_from_an_empty_mailbox_is_a_repeat() {
    holding(0)
        .when(&acknowledge(0, chain_start(&KEY)))
        .then_nothing();
}

#[test]
fn refuses_a_message_that_was_never_accepted() {
    holding(3)
        .when(&acknowledge(4, chain(4)))
        .then_refused(&MailboxError::AckAheadOfDelivery {
            through: 4,
            last: 3,
        });
    holding(3)
        .after(&acknowledge(3, chain(3)))
        .when(&acknowledge(u64::MAX, chain(3)))
        .then_refused(&MailboxError::AckAheadOfDelivery {
            through: u64::MAX,
            last: 3,
        });
}

#[test]
fn refuses_a_recipient_who_was_not_given_the_messages() {
    holding(3)
        .when(&acknowledge(3, chain(2)))
        .then_refused(&MailboxError::ChainMismatch {
            through: 3,
            expected: chain(3),
        });
}

#[test]
fn refuses_when_the_mailbox_was_never_open() {
    given::<Mailbox>([])
        .when(&acknowledge(0, chain_start(&KEY)))
        .then_refused(&MailboxError::NotOpen);
}

#[test]
fn skips_parked_messages() {
    holding(3)
        .after(&park(&[2]))
        .when(&acknowledge(3, chain(3)))
        .then([acknowledged(3, 2)])
        .closing([payload(1), payload(3)]);
}

#[test]
fn counts_no_tombstones() {
    let at = NOON.plus(MESSAGE_TTL_DEFAULT);
    holding(2)
        .after(&MailboxCommand::Expire { at })
        .after(&accept(3))
        .when(&acknowledge(3, chain(3)))
        .then([acknowledged(3, 1)])
        .closing([payload(3)]);
}
