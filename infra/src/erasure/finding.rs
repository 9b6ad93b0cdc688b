//! What can be wrong about erasure. Programs decide by the codes, which never change.

use std::fmt;
use std::path::PathBuf;

use satpost_domain::{PayloadId, Position, Revision, StreamId};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is missing or belongs to nothing, and nothing that was closed is known to be left.
    Disorder,
    /// Something that was closed is left.
    Left,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident;)*) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingCode {
            $($(#[$doc])* $name,)*
        }

        impl FindingCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The key and the bytes of a closed payload are there: it can be read.
    ClosedReadable = "closed-readable", Left;
    /// The key of a closed payload is there.
    KeyNotDestroyed = "key-not-destroyed", Left;
    /// The ciphertext of a closed payload is there, longer than it may be.
    BytesLeft = "bytes-left", Left;
    /// The events close a payload, and the log does not erase it: it would live at the next start.
    ErasureNotRecorded = "erasure-not-recorded", Left;
    /// A file outside the payload store holds keys or ciphertexts: no erasure reaches it.
    CopyOfPayloads = "copy-of-payloads", Left;
    /// The snapshot of the projections is older than what was closed may stay in it.
    SnapshotOverdue = "snapshot-overdue", Left;
    /// A file beside the snapshot of the projections, which may hold what the snapshot does not.
    SnapshotLeft = "snapshot-left", Left;
    /// An open payload is nowhere.
    OpenMissing = "open-missing", Disorder;
    /// An open payload does not open.
    OpenDamaged = "open-damaged", Disorder;
    /// An open payload is not what its event says.
    OpenDiffers = "open-differs", Disorder;
    /// The log erases a payload that its events have not closed.
    OpenErased = "open-erased", Disorder;
    /// A key belongs to no event.
    OrphanKey = "orphan-key", Disorder;
    /// A ciphertext belongs to no event.
    OrphanBytes = "orphan-bytes", Disorder;
    /// A slot of the key file holds neither a key nor nothing.
    SlotDamaged = "slot-damaged", Disorder;
    /// Bytes in a file of ciphertexts belong to none.
    StrayBytes = "stray-bytes", Disorder;
    /// A file that does not belong to the payloads.
    ForeignFile = "foreign-file", Disorder;
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The event that a payload was stored with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPlace {
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// The number of the message in its mailbox, where it is one.
    pub seq: Option<u64>,
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Revision(revision) = self.revision;
        write!(
            f,
            "event {revision} of {} at position {}",
            self.stream, self.position
        )?;
        match self.seq {
            Some(seq) => write!(f, " (message {seq})"),
            None => Ok(()),
        }
    }
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub code: FindingCode,
    /// The file; nothing when it is about the log.
    pub file: Option<PathBuf>,
    /// Where in the file, in bytes.
    pub offset: Option<u64>,
    /// The slot of the key, where there is one.
    pub slot: Option<u32>,
    /// Whose payload it is.
    pub payload: Option<PayloadId>,
    /// The event it was stored with, where the log has one.
    pub event: Option<EventPlace>,
    /// In a sentence.
    pub reason: String,
}

impl Finding {
    /// A finding about no file and no payload yet.
    pub(super) fn new(code: FindingCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            file: None,
            offset: None,
            slot: None,
            payload: None,
            event: None,
            reason: reason.into(),
        }
    }
}
