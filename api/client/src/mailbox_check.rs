//! Checks what a server says about a mailbox: that the bodies are the ones it once accepted, that
//! none is missing, moved or exchanged, and that it signed for that.
//!
//! The chain is recomputed from the last verified message over (seq, id, digest); a server that
//! leaves one out, or shows another past than before, cannot produce a chain that fits. What it lets
//! go of it signs for, too.

use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, AcknowledgeThrough, DeletionScope,
    Delivery, FetchMessagesResponse, SignedHead, deletion_receipt_bytes, head_bytes,
};
use satpost_domain::hash::sha256;
use satpost_domain::ids::{ChainHash, Digest, parse_hex};
use satpost_domain::mailbox::{chain_start, extend_chain};
use satpost_domain::{ClientId, MessageId, MessagingKey, Timestamp};
use serde::{Deserialize, Serialize};

/// The last message of a mailbox that was verified, and the chain after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedHead {
    /// Its place; 0 for the beginning.
    pub seq: u64,
    /// The chain after it.
    pub chain: ChainHash,
}

impl VerifiedHead {
    /// A mailbox that never held a message.
    #[must_use]
    pub fn start(mailbox: &MessagingKey) -> Self {
        Self {
            seq: 0,
            chain: chain_start(mailbox),
        }
    }
}

/// A message, or its tombstone, in its proven place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedMessage {
    /// Its place, and the chain after it.
    pub head: VerifiedHead,
    /// Its id.
    pub id: MessageId,
    /// When the server took it.
    pub accepted_at: Timestamp,
    /// The sealed body; nothing for a tombstone or a parked message.
    pub body: Option<Vec<u8>>,
    /// Why only a tombstone is left: `expired` or `wiped`.
    pub gone: Option<String>,
    /// True when a stranger sent it, by the server's word.
    pub knock: bool,
}

/// The server's signed word that it let messages go, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReceipt {
    /// The last message of them.
    pub through: u64,
    /// The chain after it.
    pub chain: ChainHash,
    /// How many bodies were forgotten.
    pub deleted: u64,
    /// When.
    pub at: Timestamp,
    /// The signature, 128 hexadecimal characters.
    pub receipt: String,
}

/// The server's account of the mailbox does not hold. Keep it as evidence; acknowledge nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailboxMismatch {
    /// A field does not parse.
    #[error("message {seq}: the {field} is not valid")]
    Malformed {
        /// Where.
        seq: u64,
        /// Which field.
        field: &'static str,
    },
    /// A message is missing, or comes twice.
    #[error(
        "message {expected} of the mailbox should come next, but {actual} came; another installation may have fetched with the same key, or the server lost messages"
    )]
    Sequence {
        /// What should come.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The body is not the one the server once accepted.
    #[error("message {seq}: the body does not have the digest the server names")]
    Digest {
        /// Where.
        seq: u64,
    },
    /// The server shows another past than before.
    #[error("message {seq}: the chain is not the one that follows from what was verified before")]
    Chain {
        /// Where.
        seq: u64,
    },
    /// Neither a body nor a reason why there is none.
    #[error("message {seq} has neither a body nor a reason why there is none")]
    NoBody {
        /// Where.
        seq: u64,
    },
    /// The signed head names another end than the messages do.
    #[error("the server signed for message {signed}, but delivered through {delivered}")]
    Head {
        /// What it signed for.
        signed: u64,
        /// The last message it delivered.
        delivered: u64,
    },
    /// The head is not signed by the server this wallet registered with.
    #[error("the head of the mailbox is not signed by the server's key")]
    HeadSignature,
    /// Messages were acknowledged, and the server does not sign that it let them go.
    #[error(
        "the server did not sign that it let go of the messages through {through}; another installation may have acknowledged more with the same key"
    )]
    NoDeletionReceipt {
        /// The last message that was acknowledged.
        through: u64,
    },
    /// What it signed is not that.
    #[error(
        "the server's receipt for letting go of the messages through {through} does not verify"
    )]
    DeletionReceipt {
        /// The last message that was acknowledged.
        through: u64,
    },
}

impl MailboxMismatch {
    /// False for an answer that cannot be read at all: it says nothing, so it breaks nothing.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        !matches!(self, Self::Malformed { .. })
    }
}

/// Checks one answer against what was verified before. Without `known` (a wallet restored from its
/// words, or told to start anew) the first message is taken on the server's word.
///
/// Returns the messages behind `known` in order.
///
/// # Errors
/// [`MailboxMismatch`].
pub fn check_mailbox(
    mailbox: &MessagingKey,
    server_key: &ClientId,
    known: Option<VerifiedHead>,
    answer: &FetchMessagesResponse,
) -> Result<Vec<VerifiedMessage>, MailboxMismatch> {
    let signed = check_head(mailbox, server_key, &answer.head)?;
    let mut known = known;
    let mut verified = Vec::with_capacity(answer.messages.len());
    for delivery in &answer.messages {
        let message = check_delivery(known, delivery)?;
        known = Some(message.head);
        verified.push(message);
    }
    let end = known.unwrap_or(signed);
    if signed.seq != end.seq {
        return Err(MailboxMismatch::Head {
            signed: signed.seq,
            delivered: end.seq,
        });
    }
    if signed.chain != end.chain {
        return Err(MailboxMismatch::Chain { seq: end.seq });
    }
    Ok(verified)
}

/// Checks the server's receipt for an acknowledgement through `head`.
///
/// # Errors
/// [`MailboxMismatch`].
pub fn check_deletion(
    mailbox: &MessagingKey,
    server_key: &ClientId,
    head: VerifiedHead,
    answer: &AcknowledgeMessagesResponse,
) -> Result<KeptReceipt, MailboxMismatch> {
    let through = head.seq;
    let (Some(at), Some(receipt)) = (answer.at, &answer.receipt) else {
        return Err(MailboxMismatch::NoDeletionReceipt { through });
    };
    let scope = DeletionScope::Through {
        through,
        chain: *head.chain.as_bytes(),
    };
    let signed = deletion_receipt_bytes(mailbox.as_bytes(), &scope, answer.deleted, at);
    parse_hex(receipt)
        .ok()
        .and_then(|signature| server_key.verify(&signed, &signature).ok())
        .ok_or(MailboxMismatch::DeletionReceipt { through })?;
    Ok(KeptReceipt {
        through,
        chain: head.chain,
        deleted: answer.deleted,
        at: Timestamp::from_millis(at),
        receipt: receipt.clone(),
    })
}

/// The acknowledgement of everything through `head`.
pub(crate) fn acknowledgement(head: VerifiedHead) -> AcknowledgeMessagesRequest {
    AcknowledgeMessagesRequest::Through(AcknowledgeThrough {
        through: head.seq,
        chain: head.chain.to_string(),
    })
}

fn check_head(
    mailbox: &MessagingKey,
    server_key: &ClientId,
    head: &SignedHead,
) -> Result<VerifiedHead, MailboxMismatch> {
    let field = |field| MailboxMismatch::Malformed {
        seq: head.seq,
        field,
    };
    let chain: ChainHash = head.chain.parse().map_err(|_| field("head chain"))?;
    let signature = parse_hex(&head.signature).map_err(|_| field("head signature"))?;
    let signed = head_bytes(mailbox.as_bytes(), head.seq, chain.as_bytes());
    server_key
        .verify(&signed, &signature)
        .map_err(|_| MailboxMismatch::HeadSignature)?;
    Ok(VerifiedHead {
        seq: head.seq,
        chain,
    })
}

fn check_delivery(
    known: Option<VerifiedHead>,
    delivery: &Delivery,
) -> Result<VerifiedMessage, MailboxMismatch> {
    let seq = delivery.seq;
    let field = |field| MailboxMismatch::Malformed { seq, field };
    let id: MessageId = delivery.id.parse().map_err(|_| field("id"))?;
    let digest: Digest = delivery.digest.parse().map_err(|_| field("digest"))?;
    let chain: ChainHash = delivery.chain.parse().map_err(|_| field("chain"))?;
    if let Some(known) = known {
        let expected = known.seq.saturating_add(1);
        if seq != expected {
            return Err(MailboxMismatch::Sequence {
                expected,
                actual: seq,
            });
        }
        if chain != extend_chain(known.chain, seq, id, digest) {
            return Err(MailboxMismatch::Chain { seq });
        }
    }
    let body = delivery.body.as_deref().map(<[u8]>::to_vec);
    if let Some(body) = &body
        && sha256(body) != digest
    {
        return Err(MailboxMismatch::Digest { seq });
    }
    if body.is_none() && delivery.gone.is_none() && delivery.parked.is_none() {
        return Err(MailboxMismatch::NoBody { seq });
    }
    Ok(VerifiedMessage {
        head: VerifiedHead { seq, chain },
        id,
        accepted_at: Timestamp::from_millis(delivery.accepted_at),
        body: body.filter(|_| delivery.parked.is_none()),
        gone: delivery.gone.clone(),
        knock: delivery.knock,
    })
}

#[cfg(test)]
mod tests;
