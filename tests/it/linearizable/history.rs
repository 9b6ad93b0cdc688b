//! What clients did to one queue, and what they were told, with the times of asking and answering.

use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::{MessageId, MessagingKey};

/// The time since the history began, in nanoseconds.
pub(super) type Time = u64;
/// Names a message: its sender and its number.
pub(super) type Tag = (u64, u64);

/// From asking to being answered. Who was never answered does not know whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) asked: Time,
    pub(super) answered: Option<Time>,
}

/// One attempt to send a message. All attempts for one message have its idempotency key.
#[derive(Debug, Clone)]
pub(super) struct Send {
    pub(super) tag: Tag,
    pub(super) span: Span,
    /// The id that the message was given, if there was an answer.
    pub(super) id: Option<MessageId>,
}

/// A message as it was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) seq: u64,
    pub(super) id: MessageId,
    pub(super) tag: Tag,
    pub(super) digest: Digest,
    pub(super) chain: ChainHash,
}

/// What a fetch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The line, from its beginning.
    Line,
    /// What was parked.
    Parked,
}

/// An answered fetch, of what everybody knew when it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    pub(super) part: Part,
    pub(super) asked: Time,
    pub(super) answered: Time,
    pub(super) messages: Vec<Delivered>,
    /// True when nothing is left behind the last message.
    pub(super) is_whole: bool,
    /// The place and the chain that the server has signed.
    pub(super) head: (u64, ChainHash),
}

/// What a device says of messages.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// Everything up to this one is stored.
    Through(u64),
    /// These are set aside.
    Park(Vec<MessageId>),
    /// These parked ones are done with.
    Done(Vec<MessageId>),
}

/// A command of a device, with all its attempts.
#[derive(Debug, Clone)]
pub(super) struct Settle {
    pub(super) said: Said,
    pub(super) span: Span,
    /// How many bodies it let go; none when it was refused, or when nobody knows.
    pub(super) deleted: u64,
    /// True when the server has done it.
    pub(super) is_done: bool,
}

/// Everything that happened.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) queue: MessagingKey,
    pub(super) sends: Vec<Send>,
    pub(super) fetches: Vec<Fetch>,
    pub(super) settles: Vec<Settle>,
    /// What a client has noticed by itself: a signature that does not hold, another answer to the
    /// same command.
    pub(super) noticed: Vec<String>,
    /// True when in the end everything was fetched and let go.
    pub(super) is_drained: bool,
}

impl History {
    pub(super) fn new(queue: MessagingKey) -> Self {
        Self {
            queue,
            sends: Vec::new(),
            fetches: Vec::new(),
            settles: Vec::new(),
            noticed: Vec::new(),
            is_drained: false,
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.sends.extend(other.sends);
        self.fetches.extend(other.fetches);
        self.settles.extend(other.settles);
        self.noticed.extend(other.noticed);
    }
}
