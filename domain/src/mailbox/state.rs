//! What is true of a mailbox now.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{ChainHash, MessageId};
use crate::keys::{ClientId, MessagingKey};
use crate::mailbox::SizeBucket;
use crate::time::Timestamp;

/// A message that has not been acknowledged: waiting, or gone with its tombstone still in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the queue.
    pub seq: u64,
    /// Its id, also of its payload.
    pub id: MessageId,
    /// The size of its body.
    pub size: SizeBucket,
    /// The chain after it.
    pub chain: ChainHash,
    /// When it stops waiting.
    pub expires_at: Timestamp,
    /// True when only the tombstone is left.
    pub gone: bool,
    /// True when it was set aside by its recipient.
    pub parked: bool,
}

/// The state of one mailbox; the default is "not open".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailbox {
    pub(super) key: Option<MessagingKey>,
    pub(super) owner: Option<ClientId>,
    pub(super) closed: bool,
    /// The last accepted message.
    pub(super) last_seq: u64,
    /// The chain after the last accepted message.
    pub(super) head: Option<ChainHash>,
    /// The last acknowledged message, and the chain there.
    pub(super) acknowledged: u64,
    pub(super) acknowledged_chain: Option<ChainHash>,
    /// What stands in line after `acknowledged`, by ascending seq.
    pub(super) line: VecDeque<Entry>,
    /// Parked messages that an acknowledgement has passed, by seq.
    pub(super) parked: BTreeMap<u64, Entry>,
    /// Messages that still have a body, parked or in line, and their bytes.
    pub(super) held_messages: usize,
    pub(super) held_bytes: usize,
}
