//! What a wallet must not forget between two runs, apart from the messages themselves.
//!
//! Stored as postcard in a file with a version: a field that is added is a new version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use satpost_api_types::messages::SignedHead;
use satpost_domain::ids::TokenHash;
use satpost_domain::{CommandId, MessageId, MessagingKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::envelope::Series;
use crate::link::{ReceivedSeries, SendingSeries};
use crate::mailbox_check::{KeptReceipt, VerifiedHead};
use crate::token::TokenSecret;
use crate::web_push::PushKeys;

/// Everything a wallet keeps in its `state` file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// True when the wallet came from words that were in use before.
    pub restored: bool,
    /// What others see on the wallet's card.
    pub display_name: String,
    /// The name of the Bitcoin network; the server's, when it was not chosen.
    pub network: Option<String>,
    /// The server and what is known of it.
    pub server: ServerRecord,
    /// When the client was registered.
    pub registered_at: Option<Timestamp>,
    /// The generation of the messaging key in use.
    pub generation: u32,
    /// The mailboxes that are read: the current one last.
    pub mailboxes: Vec<MailboxRecord>,
    /// Who can be written to, and who asks to be.
    pub contacts: Vec<Contact>,
    /// The one-time tokens of the latest cards, oldest first.
    pub card_tokens: Vec<TokenHash>,
    /// Tokens that are to be good no more, and the server may not know yet.
    pub to_revoke: Vec<TokenHash>,
    /// Where each correspondent's series stand, by the key it is known by and the series.
    pub received: BTreeMap<(MessagingKey, Series), ReceivedSeries>,
    /// Messages that the server has not taken yet, oldest first.
    pub outbox: Vec<PendingMessage>,
    /// The index of the next receive address.
    pub next_address: u32,
    /// The addresses the server was asked to watch.
    pub watched: BTreeSet<String>,
    /// Where the last look at the transactions ended.
    pub transactions_cursor: Option<String>,
    /// The highest position any answer named.
    pub position: Option<String>,
    /// Where this wallet is woken.
    pub push: Option<PushSubscription>,
}

/// A server and what it proved at registration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its address.
    pub url: Option<String>,
    /// The key of its receipts and heads, pinned at registration.
    pub key: Option<[u8; 32]>,
}

/// A mailbox of this wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxRecord {
    /// The generation of its key.
    pub generation: u32,
    /// The last message that was verified and stored; nothing when the server's word is taken.
    pub stored: Option<VerifiedHead>,
    /// The last message that was acknowledged.
    pub acknowledged: u64,
    /// Messages that are to be parked before the next acknowledgement, and why.
    pub to_park: Vec<(MessageId, String)>,
    /// When nobody can have a message in it any more, after a rotation.
    pub drained_at: Option<Timestamp>,
    /// Since when it is full, while its contacts are to be told that there is room again.
    pub full_since: Option<Timestamp>,
    /// The last time of being full that contacts were told the end of.
    pub told_full: Option<Timestamp>,
    /// The latest heads the server signed, oldest first.
    pub heads: Vec<SignedHead>,
    /// The latest receipts of deletion, oldest first.
    pub receipts: Vec<KeptReceipt>,
    /// The name of the file with what the server broke; the mailbox is left alone since.
    pub evidence: Option<String>,
}

impl MailboxRecord {
    /// A mailbox that was read up to `stored`.
    #[must_use]
    pub const fn new(generation: u32, stored: Option<VerifiedHead>) -> Self {
        Self {
            generation,
            stored,
            acknowledged: 0,
            to_park: Vec::new(),
            drained_at: None,
            full_since: None,
            told_full: None,
            heads: Vec::new(),
            receipts: Vec::new(),
            evidence: None,
        }
    }

    /// Forgets how far it was read: the server's word is taken for where it stands.
    pub fn start_anew(&mut self) {
        self.stored = None;
        self.acknowledged = 0;
        self.to_park.clear();
        self.full_since = None;
        self.evidence = None;
    }
}

/// How this wallet stands to someone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// A contact: its card was added, or its request accepted.
    Accepted,
    /// It wrote as a stranger and was not accepted yet.
    Requested,
}

/// A token that this wallet can show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldToken {
    /// Came in a message, and is good until it is revoked.
    Lasting(TokenSecret),
    /// Came with a card, and is good once.
    Once(TokenSecret),
}

/// A token that this wallet gave to a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The token.
    pub secret: TokenSecret,
    /// True once the server knows its hash. No message carries it before.
    pub registered: bool,
}

/// Someone who can be written to, or asks to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The first messaging key it was known by; stays the same when it rotates.
    pub id: MessagingKey,
    /// What this wallet calls it.
    pub name: String,
    /// Whether it is a contact already.
    pub standing: Standing,
    /// Its latest card, in text form; nothing when it only ever wrote.
    pub card: Option<String>,
    /// Every messaging key it had, the current one last.
    pub keys: Vec<MessagingKey>,
    /// When it was added.
    pub added_at: Timestamp,
    /// Where the messages to it stand.
    pub sending: Option<SendingSeries>,
    /// What this wallet shows to be let in; nothing makes it work for every message.
    pub their_token: Option<HeldToken>,
    /// What it was given to be let in here.
    pub our_token: Option<IssuedToken>,
}

impl Contact {
    /// Where to send.
    #[must_use]
    pub fn messaging_key(&self) -> MessagingKey {
        self.keys.last().copied().unwrap_or(self.id)
    }

    /// True for a contact; false for someone who asks to be one.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.standing == Standing::Accepted
    }

    /// True when messages to it are taken as a contact's.
    #[must_use]
    pub const fn lets_us_write(&self) -> bool {
        matches!(self.their_token, Some(HeldToken::Lasting(_)))
    }
}

/// A message that the server has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingMessage {
    /// Its `Idempotency-Key`: sending it again cannot double it.
    pub command: CommandId,
    /// To whom: [`Contact::id`].
    pub contact: MessagingKey,
    /// The generation of the key that signs it.
    pub generation: u32,
    /// The kind of its content, see [`crate::envelope`].
    pub kind: u8,
    /// Its content.
    pub text: String,
    /// How long it may wait, when its writer said so.
    pub ttl: Option<Duration>,
    /// When it was written.
    pub written_at: Timestamp,
    /// True when the server is to know who sends it, see
    /// [`SendOptions::signed`](crate::wallet::SendOptions::signed).
    pub signed: bool,
    /// The recipient had no room, and has none before this.
    pub not_before: Option<Timestamp>,
    /// Set once it was sealed: a repeat needs the same body.
    pub sealed: Option<SealedMessage>,
}

/// The body of a pending message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedMessage {
    /// The key it is sealed for.
    pub recipient: MessagingKey,
    /// What is sent.
    pub body: Vec<u8>,
    /// Where the series stands once the server has taken it.
    pub after: SendingSeries,
}

/// A subscription at a push service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSubscription {
    /// Where this wallet waits.
    pub receive: String,
    /// The keys the pushes are encrypted for.
    pub keys: PushKeys,
    /// True once the server has the code back.
    pub verified: bool,
}
