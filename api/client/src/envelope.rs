//! What a message says inside its ciphertext, and the byte form of it that is signed.
//!
//! ```text
//! version  1   = 1
//! sender  32   the sender's Ed25519 messaging key
//! series  16   drawn when the sender began to count messages to this recipient
//! counter  8   1, 2, 3 … in the series
//! previous 32  link of the message before, zero for the first
//! sent_at  8   milliseconds since the Unix epoch
//! token   32   lets the reader write back: the sender's delivery token for it, zero for none
//! kind     1   1 text, 2 contact card, 3 greeting, 4 room again
//! length   2   bytes of content
//! content      empty for kinds 3 and 4
//! signature 64
//! ```
//! Integers are big endian. `link = tagged("satpost/message-link/1", version … content)`, and the
//! signature is over `"satpost/message/1\0" ‖ enc (32) ‖ recipient (32) ‖ version … content`.

use satpost_domain::hash::tagged;
use satpost_domain::limits::{KNOCK_BYTES_MAX, MESSAGE_BYTES_MAX};
use satpost_domain::{MessagingKey, Timestamp};

use crate::token::TokenSecret;

/// The only version.
pub const VERSION: u8 = 1;
/// Everything before the content.
pub(crate) const HEADER_BYTES: usize = 1 + 32 + 16 + 8 + 32 + 8 + 32 + 1 + 2;
/// The signature behind the content.
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// The encapsulated key in front and the authentication tag behind (RFC 9180).
pub(crate) const SEAL_BYTES: usize = 32 + 16;
/// The longest content of one message, in bytes.
pub const CONTENT_BYTES_MAX: usize =
    MESSAGE_BYTES_MAX - SEAL_BYTES - HEADER_BYTES - SIGNATURE_BYTES;
/// The longest content of a message whose sender is a stranger to its recipient, in bytes.
pub const KNOCK_CONTENT_BYTES_MAX: usize =
    KNOCK_BYTES_MAX - SEAL_BYTES - HEADER_BYTES - SIGNATURE_BYTES;

const SIGNATURE_CONTEXT: &[u8] = b"satpost/message/1\0";
/// The kind of [`Content::Text`].
pub const KIND_TEXT: u8 = 1;
/// The kind of [`Content::Card`].
pub const KIND_CARD: u8 = 2;
/// The kind of [`Content::Greeting`].
pub const KIND_GREETING: u8 = 3;
/// The kind of [`Content::RoomAgain`].
pub const KIND_ROOM_AGAIN: u8 = 4;

/// Names a run of messages from one sender to one recipient.
pub type Series = [u8; 16];
/// The hash a message is known by in the next one.
pub type Link = [u8; 32];

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text for a person.
    Text(String),
    /// A contact card in its text form: the sender's, after it changed.
    Card(String),
    /// From wallet to wallet: nothing but the token of its envelope. Its reader is a contact now.
    Greeting,
    /// From wallet to wallet: the sender's mailbox was full and has room again.
    RoomAgain,
}

impl Content {
    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Self::Text(_) => KIND_TEXT,
            Self::Card(_) => KIND_CARD,
            Self::Greeting => KIND_GREETING,
            Self::RoomAgain => KIND_ROOM_AGAIN,
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Card(text) => text,
            Self::Greeting | Self::RoomAgain => "",
        }
    }

    pub(crate) fn from_parts(kind: u8, text: String) -> Result<Self, EnvelopeError> {
        match (kind, text.as_str()) {
            (KIND_TEXT, _) => Ok(Self::Text(text)),
            (KIND_CARD, _) => Ok(Self::Card(text)),
            (KIND_GREETING, "") => Ok(Self::Greeting),
            (KIND_ROOM_AGAIN, "") => Ok(Self::RoomAgain),
            (KIND_GREETING | KIND_ROOM_AGAIN, _) => Err(malformed("content")),
            (actual, _) => Err(EnvelopeError::UnknownKind { actual }),
        }
    }
}

/// True for what people write to each other; the rest is said from wallet to wallet.
pub(crate) const fn is_for_people(kind: u8) -> bool {
    matches!(kind, KIND_TEXT | KIND_CARD)
}

/// A message without its seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who wrote it.
    pub sender: MessagingKey,
    /// Which run of messages it belongs to.
    pub series: Series,
    /// Its place in the run, from 1.
    pub counter: u64,
    /// The link of the message before, zero for the first.
    pub previous: Link,
    /// The sender's clock.
    pub sent_at: Timestamp,
    /// Lets its reader write back.
    pub token: Option<TokenSecret>,
    /// What it says.
    pub content: Content,
}

/// Bytes that are no envelope of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Written by a later version.
    #[error("messages of version {actual} are not known, only version {VERSION}")]
    UnknownVersion {
        /// The version given.
        actual: u8,
    },
    /// A kind of content that this version does not know.
    #[error("content of kind {actual} is not known")]
    UnknownKind {
        /// The kind given.
        actual: u8,
    },
    /// Too short, not UTF-8, counter 0, a bad key, or padding that is not zero.
    #[error("the message does not have the form of an envelope: {what}")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
}

impl Envelope {
    /// The bytes from version to content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = self.content.text().as_bytes();
        let length =
            u16::try_from(text.len()).expect("content is checked against the largest body");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + text.len() + SIGNATURE_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.sender.as_bytes());
        bytes.extend_from_slice(&self.series);
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&self.sent_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(&TokenSecret::to_field(self.token.as_ref()));
        bytes.push(self.content.kind());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(text);
        bytes
    }

    /// Reads an envelope and its signature from a padded plaintext.
    pub(crate) fn decode(padded: &[u8]) -> Result<(Self, [u8; SIGNATURE_BYTES]), EnvelopeError> {
        let mut reader = Reader(padded);
        let [version] = reader.take()?;
        if version != VERSION {
            return Err(EnvelopeError::UnknownVersion { actual: version });
        }
        let sender = MessagingKey::new(reader.take()?).map_err(|_| malformed("sender"))?;
        let series = reader.take()?;
        let counter = u64::from_be_bytes(reader.take()?);
        let previous = reader.take()?;
        let sent_at = Timestamp::from_millis(u64::from_be_bytes(reader.take()?));
        let token = TokenSecret::from_field(reader.take()?);
        let [kind] = reader.take()?;
        let length = usize::from(u16::from_be_bytes(reader.take()?));
        if counter == 0 {
            return Err(malformed("counter"));
        }
        let text = reader.take_slice(length)?;
        let signature = reader.take()?;
        crate::padding::without_padding(reader.0, 0).ok_or(malformed("padding"))?;
        let text = String::from_utf8(text.to_vec()).map_err(|_| malformed("content"))?;
        let content = Content::from_parts(kind, text)?;
        let envelope = Self {
            sender,
            series,
            counter,
            previous,
            sent_at,
            token,
            content,
        };
        Ok((envelope, signature))
    }

    /// The hash the next message names as its `previous`.
    #[must_use]
    pub fn link(&self) -> Link {
        tagged("satpost/message-link/1", &[&self.encode()])
    }

    /// What its sender signs.
    pub(crate) fn signed_bytes(&self, enc: &[u8], recipient: &MessagingKey) -> Vec<u8> {
        [SIGNATURE_CONTEXT, enc, recipient.as_bytes(), &self.encode()].concat()
    }
}

const fn malformed(what: &'static str) -> EnvelopeError {
    EnvelopeError::Malformed { what }
}

/// Takes fields from the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], EnvelopeError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(malformed("length"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn take_slice(&mut self, length: usize) -> Result<&'a [u8], EnvelopeError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(malformed("length"))?;
        self.0 = rest;
        Ok(field)
    }
}
