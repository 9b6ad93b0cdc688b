//! A mailbox whose key was replaced.

use super::*;
use crate::limits::MAILBOX_FORWARD_MAX;
use crate::mailbox::StrangerPolicy;

const NEXT: MessagingKey = MessagingKey::from_stored([6; 32]);

const fn forward(to: MessagingKey) -> MailboxCommand {
    MailboxCommand::Forward { to, at: NOON }
}

fn inheriting(tokens: &[DeliveryToken]) -> MailboxCommand {
    MailboxCommand::Open {
        key: KEY,
        owner: ALICE,
        inherited: Some((StrangerPolicy::Refuse, tokens.to_vec())),
        at: NOON,
    }
}

fn accept_at(seq: u64, at: Timestamp) -> MailboxCommand {
    MailboxCommand::Accept {
        id: id(seq),
        digest: digest(seq),
        size: 512,
        ttl: None,
        introduction: shown(CONTACT),
        at,
    }
}

#[test]
fn passes_messages_on_for_a_while() {
    let until = NOON.plus(MAILBOX_FORWARD_MAX);
    let forwarded = MailboxEvent::MailboxForwarded {
        to: NEXT,
        until,
        at: NOON,
    };
    holding(1).when(&forward(NEXT)).then([forwarded]);
    let moved = || holding(1).after(&forward(NEXT));
    let before = Timestamp::from_millis(until.as_millis() - 1);
    moved()
        .when(&accept_at(2, before))
        .then_refused(&MailboxError::Forwarded { to: NEXT });
    moved()
        .when(&accept_at(2, until))
        .then_refused(&MailboxError::NotOpen);
}

#[test]
fn what_waits_is_still_fetched_and_acknowledged() {
    holding(2)
        .after(&forward(NEXT))
        .when(&acknowledge(2, chain(2)))
        .then([acknowledged(2, 2)]);
}

#[test]
fn passes_nothing_on_to_itself_nor_twice_nor_when_it_is_closed() {
    holding(0).when(&forward(KEY)).then_nothing();
    holding(0)
        .after(&forward(NEXT))
        .when(&forward(NEXT))
        .then_nothing();
    holding(0).after(&CLOSE).when(&forward(NEXT)).then_nothing();
    given::<Mailbox>([]).when(&forward(NEXT)).then_nothing();
}

#[test]
fn takes_messages_itself_again_when_its_key_is_back_in_use() {
    holding(0)
        .after(&forward(NEXT))
        .when(&open(ALICE))
        .then([MailboxEvent::MailboxReopened { at: NOON }]);
    holding(0)
        .after(&forward(NEXT))
        .after(&open(ALICE))
        .when(&accept(1))
        .then([accepted(1)]);
}

#[test]
fn takes_over_the_policy_and_the_tokens_of_the_mailbox_before() {
    let opened = MailboxEvent::MailboxOpened {
        key: KEY,
        owner: ALICE,
        at: NOON,
    };
    let changed = MailboxEvent::StrangerPolicyChanged {
        policy: StrangerPolicy::Refuse,
        at: NOON,
    };
    let added = MailboxEvent::DeliveryTokensAdded {
        tokens: vec![CONTACT],
        at: NOON,
    };
    given::<Mailbox>([])
        .when(&inheriting(&[CONTACT]))
        .then([opened, changed.clone(), added]);
    holding(0)
        .after(&forward(NEXT))
        .when(&inheriting(&[CONTACT]))
        .then([MailboxEvent::MailboxReopened { at: NOON }, changed]);
    given::<Mailbox>([])
        .after(&inheriting(&[CONTACT]))
        .when(&inheriting(&[CONTACT]))
        .then_nothing();
}
