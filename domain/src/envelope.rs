//! What surrounds an event in the log: its stream, its place, and where it came from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::{CommandId, EventId, RequestDigest};
use crate::keys::{ClientId, MessagingKey};
use crate::network::Network;
use crate::time::Timestamp;

/// The name of a stream: a category, a dash, and what distinguishes it inside the category.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(String);

/// The text is no stream name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stream name is category-name with 1 to 200 visible characters and no leading $, got {0:?}"
)]
pub struct ParseStreamIdError(pub String);

impl StreamId {
    /// The stream of a client: `client-<id>`.
    #[must_use]
    pub fn client(id: ClientId) -> Self {
        Self(format!("client-{id}"))
    }

    /// The stream of a mailbox: `mailbox-<messaging key>`.
    #[must_use]
    pub fn mailbox(key: MessagingKey) -> Self {
        Self(format!("mailbox-{key}"))
    }

    /// The stream of a client's watch list: `watchlist-<client id>`.
    #[must_use]
    pub fn watchlist(id: ClientId) -> Self {
        Self(format!("watchlist-{id}"))
    }

    /// The stream of a chain: `chain-<network>`.
    #[must_use]
    pub fn chain(network: Network) -> Self {
        Self(format!("chain-{network}"))
    }

    /// The part before the first dash.
    #[must_use]
    pub fn category(&self) -> &str {
        self.split().0
    }

    /// The part after the first dash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.split().1
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once('-').expect("the constructors put a dash")
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StreamId {
    type Err = ParseStreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() <= 200
            && !text.starts_with('$')
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text
                .split_once('-')
                .is_some_and(|(category, name)| !category.is_empty() && !name.is_empty());
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseStreamIdError(text.to_owned()))
        }
    }
}

/// The place of an event in its stream, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The place of an event in the whole log. Ordered and opaque: no arithmetic is meaningful.
///
/// The embedded log counts events from 1 in `major`; other engines use both parts.
/// [`Position::START`] is before every event.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position {
    major: u64,
    minor: u64,
}

impl Position {
    /// Before the first event.
    pub const START: Self = Self { major: 0, minor: 0 };

    /// Builds the position an engine uses.
    #[must_use]
    pub const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// The part that orders first; in the embedded log the number of the event, from 1.
    #[must_use]
    pub const fn major(self) -> u64 {
        self.major
    }

    /// The part that orders second; 0 in the embedded log.
    #[must_use]
    pub const fn minor(self) -> u64 {
        self.minor
    }
}

/// `N`, or `N.M` when the engine uses both parts.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.minor == 0 {
            write!(f, "{}", self.major)
        } else {
            write!(f, "{}.{}", self.major, self.minor)
        }
    }
}

/// The text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a position is a number, or two numbers with a dot between them, got {0:?}")]
pub struct ParsePositionError(pub String);

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Ok(Self { major, minor }),
            _ => Err(ParsePositionError(text.to_owned())),
        }
    }
}

/// Where an event came from. Never a sender, an address or a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The command that caused it; a repeat of the command is recognised by it.
    pub command_id: CommandId,
    /// What that command asked for.
    pub request_digest: RequestDigest,
    /// The server's clock when the event was appended.
    pub recorded_at: Timestamp,
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// Where it came from.
    pub metadata: Metadata,
    /// What happened.
    pub event: Event,
}
