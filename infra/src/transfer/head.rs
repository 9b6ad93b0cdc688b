//! A digest over the first events of a log that does not depend on its engine: not on positions,
//! not on how events were batched, not on what was erased since.

use satpost_domain::hash::tagged;
use satpost_domain::ids::Digest;
use satpost_event_store::RecordedEvent;
use sha2::{Digest as _, Sha256};

/// The head of a log after some of its events: `head(n) = SHA-256(head(n-1) ‖ event n)`, over
/// stream, revision, id, type, schema, body, metadata and payload id, in the order of the log.
///
/// Texts and bytes are preceded by their length in 4 bytes; numbers are little endian; a payload id is
/// preceded by 1, and its absence is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// How many events.
    pub events: u64,
    /// The digest after them.
    pub digest: Digest,
}

impl LogHead {
    /// Before the first event.
    #[must_use]
    pub fn start() -> Self {
        Self {
            events: 0,
            digest: Digest::new(tagged("satpost/log-head/1", &[])),
        }
    }

    /// Takes the next event.
    pub fn add(&mut self, event: &RecordedEvent) {
        let mut hasher = Sha256::new();
        hasher.update(self.digest.as_bytes());
        add_bytes(&mut hasher, event.stream.as_str().as_bytes());
        hasher.update(event.revision.0.to_le_bytes());
        hasher.update(event.id.as_bytes());
        add_bytes(&mut hasher, event.kind.as_bytes());
        hasher.update(event.schema.to_le_bytes());
        add_bytes(&mut hasher, &event.body);
        add_bytes(&mut hasher, &event.metadata);
        match event.payload {
            Some(id) => {
                hasher.update([1]);
                hasher.update(id.as_bytes());
            }
            None => hasher.update([0]),
        }
        self.digest = Digest::new(hasher.finalize().into());
        self.events += 1;
    }
}

fn add_bytes(hasher: &mut Sha256, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("the parts of an event are bounded");
    hasher.update(length.to_le_bytes());
    hasher.update(bytes);
}
