//! Contacts and strangers.

use super::*;
use crate::limits::{
    DELIVERY_TOKENS_MAX, DELIVERY_TOKENS_PER_REQUEST_MAX, KNOCK_BYTES_MAX, KNOCK_TTL, KNOCKS_MAX,
    MESSAGE_TTL_MIN,
};
use crate::mailbox::StrangerPolicy;

const NOBODY: Introduction = Introduction {
    token: None,
    has_worked: false,
    is_registered: false,
};
const WORKER: Introduction = Introduction {
    has_worked: true,
    ..NOBODY
};
const REGISTERED: Introduction = Introduction {
    is_registered: true,
    ..NOBODY
};
const ONCE: DeliveryToken = DeliveryToken {
    hash: TokenHash::new([5; 32]),
    uses: TokenUse::Once,
};

fn accept_from(seq: u64, size: usize, introduction: Introduction) -> MailboxCommand {
    MailboxCommand::Accept {
        id: id(seq),
        digest: digest(seq),
        size,
        ttl: Some(MESSAGE_TTL_MIN),
        introduction,
        at: NOON,
    }
}

fn came_in(seq: u64, knock: bool) -> MailboxEvent {
    let ttl = if knock { KNOCK_TTL } else { MESSAGE_TTL_MIN };
    MailboxEvent::MessageAccepted {
        seq,
        id: id(seq),
        size: SizeBucket::of(512).unwrap(),
        digest: digest(seq),
        chain: chain(seq),
        knock,
        at: NOON,
        expires_at: NOON.plus(ttl),
    }
}

const fn policy(policy: StrangerPolicy) -> MailboxCommand {
    MailboxCommand::SetStrangerPolicy { policy, at: NOON }
}

fn revoke(hashes: &[TokenHash]) -> MailboxCommand {
    MailboxCommand::RevokeTokens {
        hashes: hashes.to_vec(),
        at: NOON,
    }
}

fn token(number: usize) -> DeliveryToken {
    DeliveryToken {
        hash: TokenHash::new(*sha256(&number.to_be_bytes()).as_bytes()),
        uses: TokenUse::Lasting,
    }
}

/// A mailbox that has this to say to strangers.
fn under(of: StrangerPolicy) -> Given<Mailbox> {
    let mailbox = holding(0);
    if mailbox.state().stranger_policy() == of {
        return mailbox;
    }
    mailbox.after(&policy(of))
}

#[test]
fn strangers_are_treated_as_the_owner_said() {
    use StrangerPolicy::{Knock, Open, Refuse};
    let table = [
        (Refuse, NOBODY, None),
        (Refuse, WORKER, None),
        (Refuse, REGISTERED, None),
        (Knock, NOBODY, None),
        (Knock, WORKER, Some(true)),
        (Knock, REGISTERED, None),
        (Open, NOBODY, None),
        (Open, WORKER, Some(false)),
        (Open, REGISTERED, Some(false)),
    ];
    for (of, introduction, knock) in table {
        let asked = under(of).when(&accept_from(1, 512, introduction));
        match knock {
            Some(knock) => drop(asked.then([came_in(1, knock)])),
            None => asked.then_refused(&MailboxError::StrangerRefused),
        }
    }
}

#[test]
fn a_contact_comes_in_whatever_strangers_are_told() {
    for of in [
        StrangerPolicy::Refuse,
        StrangerPolicy::Knock,
        StrangerPolicy::Open,
    ] {
        under(of)
            .when(&accept_from(1, 512, shown(CONTACT)))
            .then([came_in(1, false)]);
    }
}

#[test]
fn a_revoked_token_is_as_good_as_one_that_never_was() {
    let revoked = under(StrangerPolicy::Knock).after(&revoke(&[CONTACT.hash]));
    revoked
        .when(&accept_from(1, 512, shown(CONTACT)))
        .then_refused(&MailboxError::StrangerRefused);
    let with_work = Introduction {
        has_worked: true,
        ..shown(CONTACT)
    };
    under(StrangerPolicy::Knock)
        .after(&revoke(&[CONTACT.hash]))
        .when(&accept_from(1, 512, with_work))
        .then([came_in(1, true)]);
}

#[test]
fn a_token_for_one_knock_is_spent_by_it() {
    for of in [
        StrangerPolicy::Refuse,
        StrangerPolicy::Knock,
        StrangerPolicy::Open,
    ] {
        let mailbox = || under(of).after(&add_tokens(&[ONCE]));
        let spent = MailboxEvent::DeliveryTokenSpent {
            hash: ONCE.hash,
            at: NOON,
        };
        let knock = of != StrangerPolicy::Open;
        mailbox()
            .when(&accept_from(1, 512, shown(ONCE)))
            .then([came_in(1, knock), spent]);
        mailbox()
            .after(&accept_from(1, 512, shown(ONCE)))
            .when(&accept_from(2, 512, shown(ONCE)))
            .then_refused(&MailboxError::StrangerRefused);
    }
}

#[test]
fn knocks_are_few_and_small_and_outlast_what_their_sender_says() {
    let mut mailbox = under(StrangerPolicy::Knock);
    mailbox = mailbox.after(&accept_from(1, KNOCK_BYTES_MAX, WORKER));
    assert_eq!(mailbox.state().line[0].expires_at, NOON.plus(KNOCK_TTL));
    for seq in 2..=KNOCKS_MAX as u64 {
        mailbox = mailbox.after(&accept_from(seq, 512, WORKER));
    }
    let next = KNOCKS_MAX as u64 + 1;
    let full = mailbox.when(&accept_from(next, 512, WORKER));
    full.then_refused(&MailboxError::StrangerRefused);

    under(StrangerPolicy::Knock)
        .when(&accept_from(1, 8 * 1024, WORKER))
        .then_refused(&MailboxError::StrangerRefused);
}

#[test]
fn knocks_take_no_room_from_one_another_once_they_ended() {
    let mut mailbox = under(StrangerPolicy::Knock);
    for seq in 1..=KNOCKS_MAX as u64 {
        mailbox = mailbox.after(&accept_from(seq, 512, WORKER));
    }
    let last = KNOCKS_MAX as u64;
    mailbox
        .after(&acknowledge(1, chain(1)))
        .when(&accept_from(last + 1, 512, WORKER))
        .then([came_in(last + 1, true)]);
}

#[test]
fn nothing_is_told_of_a_mailbox_by_refusing_what_none_takes() {
    let never_open = given::<Mailbox>([]);
    never_open
        .when(&accept_from(1, 513, NOBODY))
        .then_refused(&MailboxError::NotPadded { actual: 513 });
}

#[test]
fn tokens_are_added_and_revoked_once() {
    let added = |tokens: &[DeliveryToken]| MailboxEvent::DeliveryTokensAdded {
        tokens: tokens.to_vec(),
        at: NOON,
    };
    holding(0)
        .when(&add_tokens(&[ONCE, CONTACT, ONCE]))
        .then([added(&[ONCE])]);
    holding(0).when(&add_tokens(&[CONTACT])).then_nothing();
    let again = DeliveryToken {
        uses: TokenUse::Once,
        ..CONTACT
    };
    holding(0).when(&add_tokens(&[again])).then_nothing();
    let revoked = MailboxEvent::DeliveryTokensRevoked {
        hashes: vec![CONTACT.hash],
        at: NOON,
    };
    holding(0)
        .when(&revoke(&[ONCE.hash, CONTACT.hash, CONTACT.hash]))
        .then([revoked]);
    holding(0).when(&revoke(&[ONCE.hash])).then_nothing();
}

#[test]
fn tokens_have_their_bounds() {
    for actual in [0, DELIVERY_TOKENS_PER_REQUEST_MAX + 1] {
        let refusal = MailboxError::TokenCount { actual };
        holding(0)
            .when(&add_tokens(&vec![ONCE; actual]))
            .then_refused(&refusal);
        holding(0)
            .when(&revoke(&vec![ONCE.hash; actual]))
            .then_refused(&refusal);
    }
    let tokens: Vec<_> = (1..DELIVERY_TOKENS_MAX).map(token).collect();
    let mut mailbox = holding(0);
    for part in tokens.chunks(DELIVERY_TOKENS_PER_REQUEST_MAX) {
        mailbox = mailbox.after(&add_tokens(part));
    }
    assert_eq!(
        mailbox.state().delivery_tokens().count(),
        DELIVERY_TOKENS_MAX
    );
    mailbox
        .when(&add_tokens(&[ONCE]))
        .then_refused(&MailboxError::TooManyTokens);
}

#[test]
fn all_tokens_are_revoked_in_parts_that_an_event_holds() {
    let count = DELIVERY_TOKENS_PER_REQUEST_MAX + 1;
    let tokens: Vec<_> = (1..count).map(token).collect();
    let full = || holding(0).after(&add_tokens(&tokens));
    let mailbox = full();
    let mut hashes: Vec<_> = mailbox
        .state()
        .delivery_tokens()
        .map(|token| token.hash)
        .collect();
    assert_eq!(hashes.len(), count);
    let rest = hashes.split_off(DELIVERY_TOKENS_PER_REQUEST_MAX);
    let revoked = |hashes| MailboxEvent::DeliveryTokensRevoked { hashes, at: NOON };
    let all = MailboxCommand::RevokeAllTokens { at: NOON };
    mailbox.when(&all).then([revoked(hashes), revoked(rest)]);
    let after = full().after(&all);
    assert_eq!(after.state().delivery_tokens().count(), 0);
    after.when(&all).then_nothing();
}

#[test]
fn a_mailbox_that_is_not_open_has_neither_policy_nor_tokens() {
    let commands = [
        policy(StrangerPolicy::Open),
        add_tokens(&[ONCE]),
        revoke(&[ONCE.hash]),
        MailboxCommand::RevokeAllTokens { at: NOON },
    ];
    for command in commands {
        given::<Mailbox>([])
            .when(&command)
            .then_refused(&MailboxError::NotOpen);
        holding(0)
            .after(&CLOSE)
            .when(&command)
            .then_refused(&MailboxError::NotOpen);
    }
}

#[test]
fn the_policy_changes_once() {
    let changed = MailboxEvent::StrangerPolicyChanged {
        policy: StrangerPolicy::Refuse,
        at: NOON,
    };
    holding(0)
        .when(&policy(StrangerPolicy::Refuse))
        .then([changed]);
    holding(0)
        .when(&policy(StrangerPolicy::default()))
        .then_nothing();
}
