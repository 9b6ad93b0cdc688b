//! Given, when, then. The rest of the rules, for any interleaving, is checked against a naive
//! model in `tests/model`.

mod acknowledge;
mod admission;
mod bounds;
mod endings;
mod forwarding;
mod room;

use super::{
    DeliveryToken, GoneReason, Introduction, Mailbox, MailboxCommand, MailboxError, MailboxEvent,
    ParkReason, SizeBucket, TokenUse, chain_start, extend_chain,
};
use crate::aggregate::testing::{Given, given};
use crate::hash::sha256;
use crate::ids::{ChainHash, Digest, MessageId, PayloadId, TokenHash};
use crate::keys::{ClientId, MessagingKey};
use crate::limits::MESSAGE_TTL_DEFAULT;
use crate::time::Timestamp;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const BOB: ClientId = ClientId::from_stored([2; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([3; 32]);
const NOON: Timestamp = Timestamp::from_millis(1_000_000);
/// The token that every sender of these tests has, where nothing else is said.
const CONTACT: DeliveryToken = DeliveryToken {
    hash: TokenHash::new([4; 32]),
    uses: TokenUse::Lasting,
};
const CLOSE: MailboxCommand = MailboxCommand::Close { at: NOON };
const WIPE: MailboxCommand = MailboxCommand::Wipe { at: NOON };

/// The id of the message that these tests give the number `seq`.
fn id(seq: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&seq.to_be_bytes());
    MessageId::new(bytes)
}

fn payload(seq: u64) -> PayloadId {
    id(seq).into()
}

fn digest(seq: u64) -> Digest {
    sha256(&seq.to_be_bytes())
}

/// The chain at `seq` when the messages 1 to `seq` were accepted by [`accept`].
fn chain(seq: u64) -> ChainHash {
    (1..=seq).fold(chain_start(&KEY), |chain, seq| {
        extend_chain(chain, seq, id(seq), digest(seq))
    })
}

const fn open(owner: ClientId) -> MailboxCommand {
    MailboxCommand::Open {
        key: KEY,
        owner,
        inherited: None,
        at: NOON,
    }
}

fn add_tokens(tokens: &[DeliveryToken]) -> MailboxCommand {
    MailboxCommand::AddTokens {
        tokens: tokens.to_vec(),
        at: NOON,
    }
}

const fn shown(token: DeliveryToken) -> Introduction {
    Introduction {
        token: Some(token.hash),
        has_worked: false,
        is_registered: false,
    }
}

fn accept(seq: u64) -> MailboxCommand {
    MailboxCommand::Accept {
        id: id(seq),
        digest: digest(seq),
        size: 512,
        ttl: None,
        introduction: shown(CONTACT),
        at: NOON,
    }
}

fn accepted(seq: u64) -> MailboxEvent {
    MailboxEvent::MessageAccepted {
        seq,
        id: id(seq),
        size: SizeBucket::of(512).unwrap(),
        digest: digest(seq),
        chain: chain(seq),
        knock: false,
        at: NOON,
        expires_at: NOON.plus(MESSAGE_TTL_DEFAULT),
    }
}

const fn acknowledge(through: u64, chain: ChainHash) -> MailboxCommand {
    MailboxCommand::Acknowledge {
        through,
        chain,
        at: NOON,
    }
}

const fn acknowledged(through: u64, count: u64) -> MailboxEvent {
    MailboxEvent::MessagesAcknowledged {
        through,
        count,
        at: NOON,
    }
}

fn park(seqs: &[u64]) -> MailboxCommand {
    MailboxCommand::Park {
        messages: seqs
            .iter()
            .map(|seq| (id(*seq), ParkReason::Decrypt))
            .collect(),
        at: NOON,
    }
}

fn acknowledge_parked(seqs: &[u64]) -> MailboxCommand {
    MailboxCommand::AcknowledgeParked {
        messages: seqs.iter().map(|seq| id(*seq)).collect(),
        at: NOON,
    }
}

const fn gone(seq: u64, reason: GoneReason, at: Timestamp) -> MailboxEvent {
    MailboxEvent::MessageGone { seq, reason, at }
}

/// A mailbox with the messages 1 to `last`, all from the holder of [`CONTACT`].
fn holding(last: u64) -> Given<Mailbox> {
    let mut mailbox = given::<Mailbox>([])
        .after(&open(ALICE))
        .after(&add_tokens(&[CONTACT]));
    for seq in 1..=last {
        mailbox = mailbox.after(&accept(seq));
    }
    mailbox
}

#[test]
fn opens_for_its_first_owner_only() {
    given::<Mailbox>([])
        .when(&open(ALICE))
        .then([MailboxEvent::MailboxOpened {
            key: KEY,
            owner: ALICE,
            at: NOON,
        }]);
    holding(0).when(&open(ALICE)).then_nothing();
    holding(0)
        .when(&open(BOB))
        .then_refused(&MailboxError::OwnedByAnother);
    assert_eq!(holding(0).state().owner(), Some(ALICE));
}

#[test]
fn numbers_messages_without_gaps_and_extends_the_chain() {
    holding(0).when(&accept(1)).then([accepted(1)]);
    holding(1).when(&accept(2)).then([accepted(2)]);
}

#[test]
fn takes_no_messages_before_it_is_open() {
    given::<Mailbox>([])
        .when(&accept(1))
        .then_refused(&MailboxError::NotOpen);
}

#[test]
fn parks_a_message_once() {
    let parked = MailboxEvent::MessageParked {
        seq: 2,
        reason: ParkReason::Decrypt,
        at: NOON,
    };
    holding(2).when(&park(&[2, 2])).then([parked]).closing([]);
    holding(2)
        .after(&park(&[2]))
        .when(&park(&[2]))
        .then_nothing();
}

#[test]
fn parks_all_of_the_named_messages_or_none() {
    holding(2)
        .when(&park(&[1, 3]))
        .then_refused(&MailboxError::UnknownMessage);
}

#[test]
fn a_parked_message_ends_by_its_own_acknowledgement() {
    let ended = MailboxEvent::ParkedMessagesAcknowledged {
        seqs: vec![1, 3],
        at: NOON,
    };
    holding(3)
        .after(&park(&[1, 3]))
        .after(&acknowledge(2, chain(2)))
        .when(&acknowledge_parked(&[3, 1, 3]))
        .then([ended])
        .closing([payload(1), payload(3)]);
}

#[test]
fn refuses_to_end_a_message_that_is_not_parked() {
    holding(2)
        .after(&park(&[1]))
        .when(&acknowledge_parked(&[1, 2]))
        .then_refused(&MailboxError::UnknownMessage);
}

#[test]
fn a_parked_message_that_ended_in_line_is_passed_by_the_acknowledgement() {
    holding(2)
        .after(&park(&[1]))
        .after(&acknowledge_parked(&[1]))
        .when(&acknowledge(2, chain(2)))
        .then([acknowledged(2, 1)])
        .closing([payload(2)]);
}
