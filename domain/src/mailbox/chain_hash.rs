//! The hash chain over a mailbox, so that a recipient can prove loss, reordering and rollback.
//!
//! `chain_0 = H(key)` and `chain_n = H(chain_{n-1} ‖ seq ‖ id ‖ digest)`, where H is the tagged
//! hash of [`crate::hash::tagged`] and `seq` is 8 bytes, big endian.

use crate::hash::tagged;
use crate::ids::{ChainHash, Digest, MessageId};
use crate::keys::MessagingKey;

/// The chain of a mailbox that never held a message.
#[must_use]
pub fn chain_start(mailbox: &MessagingKey) -> ChainHash {
    ChainHash::new(tagged(
        "satpost/mailbox-chain/start/1",
        &[mailbox.as_bytes()],
    ))
}

/// The chain after the message `seq` with `id` and the SHA-256 `digest` of its body.
#[must_use]
pub fn extend_chain(previous: ChainHash, seq: u64, id: MessageId, digest: Digest) -> ChainHash {
    ChainHash::new(tagged(
        "satpost/mailbox-chain/1",
        &[
            previous.as_bytes(),
            &seq.to_be_bytes(),
            id.as_bytes(),
            digest.as_bytes(),
        ],
    ))
}
