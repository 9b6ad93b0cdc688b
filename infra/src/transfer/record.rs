//! What a file of a log consists of: a header, the events, and an end.

use std::fmt;

use satpost_domain::ids::Digest;
use satpost_event_store::{LogIdentity, RecordedEvent};

use super::head::LogHead;

/// The version of both forms.
pub const VERSION: u16 = 1;

/// The first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The log it was made from.
    pub log: LogIdentity,
    /// The head of that log before the first event of the file.
    pub before: LogHead,
    /// Whether the bytes of living payloads are in it.
    pub with_payloads: bool,
}

/// An event and what is known of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedEvent {
    /// The event; its position is the one in the log it came from.
    pub recorded: RecordedEvent,
    /// What became of the payload it was appended with, if there was one.
    pub payload: Option<PayloadContent>,
}

/// What became of a payload.
#[derive(Clone, PartialEq, Eq)]
pub enum PayloadContent {
    /// It was not asked for.
    LeftOut,
    /// It was asked for, and erased by then.
    Erased,
    /// Its bytes.
    Present(Vec<u8>),
}

/// Shows sizes, never bytes.
impl fmt::Debug for PayloadContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut => f.write_str("LeftOut"),
            Self::Erased => f.write_str("Erased"),
            Self::Present(bytes) => write!(f, "Present({} bytes)", bytes.len()),
        }
    }
}

/// The last record. A file without one is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The head of the log after the last event of the file.
    pub head: LogHead,
    /// SHA-256 of all bytes of the file before this record.
    pub file: Digest,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The first.
    Header(Header),
    /// Any number of them.
    Event(Box<ExportedEvent>),
    /// The last.
    End(End),
}
