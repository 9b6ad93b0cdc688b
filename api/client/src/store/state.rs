//! What a wallet must not forget between two runs, apart from the messages themselves.
//!
//! Stored as postcard in a file with a version: a field that is added is a new version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use satpost_domain::{CommandId, MessageId, MessagingKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::envelope::Series;
use crate::link::{ReceivedSeries, SendingSeries};
use crate::mailbox_check::VerifiedHead;
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
    /// Who can be written to.
    pub contacts: Vec<Contact>,
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
}

/// Someone who can be written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The first messaging key it was known by; stays the same when it rotates.
    pub id: MessagingKey,
    /// What this wallet calls it.
    pub name: String,
    /// Its latest card, in text form.
    pub card: String,
    /// Every messaging key it had, the current one last.
    pub keys: Vec<MessagingKey>,
    /// When it was added.
    pub added_at: Timestamp,
    /// Where the messages to it stand.
    pub sending: Option<SendingSeries>,
}

impl Contact {
    /// Where to send.
    #[must_use]
    pub fn messaging_key(&self) -> MessagingKey {
        self.keys.last().copied().unwrap_or(self.id)
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
