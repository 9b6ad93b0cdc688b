//! Who may write: opening, passing on, the policy for strangers, tokens, and taking a message.

use std::time::Duration;

use crate::ids::{Digest, MessageId, TokenHash};
use crate::keys::{ClientId, MessagingKey};
use crate::limits::{
    DELIVERY_TOKENS_MAX, DELIVERY_TOKENS_PER_REQUEST_MAX, KNOCK_BYTES_MAX, KNOCK_TTL, KNOCKS_MAX,
    MAILBOX_FORWARD_MAX, MESSAGE_TTL_DEFAULT, MESSAGE_TTL_MAX, MESSAGE_TTL_MIN,
};
use crate::mailbox::{
    DeliveryToken, Introduction, Mailbox, MailboxError, MailboxEvent, SizeBucket, StrangerPolicy,
    TokenUse, extend_chain,
};
use crate::time::Timestamp;

use super::Decision;

/// What a mailbox may take, whichever it is: so nothing about a mailbox is told by refusing the rest.
pub(super) struct Letter {
    id: MessageId,
    digest: Digest,
    size: SizeBucket,
    ttl: Duration,
}

/// How a message comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Admission {
    /// True when it counts as a stranger's.
    knock: bool,
    /// The token that is good no more.
    spent: Option<TokenHash>,
}

impl Letter {
    pub(super) fn new(
        id: MessageId,
        digest: Digest,
        size: usize,
        ttl: Option<Duration>,
    ) -> Result<Self, MailboxError> {
        let size = SizeBucket::of(size).ok_or(MailboxError::NotPadded { actual: size })?;
        let ttl = ttl.unwrap_or(MESSAGE_TTL_DEFAULT);
        if !(MESSAGE_TTL_MIN..=MESSAGE_TTL_MAX).contains(&ttl) {
            let actual = ttl.as_secs();
            return Err(MailboxError::TtlOutOfBounds { actual });
        }
        Ok(Self {
            id,
            digest,
            size,
            ttl,
        })
    }
}

impl Mailbox {
    pub(super) fn open(
        &self,
        key: MessagingKey,
        owner: ClientId,
        inherited: Option<&(StrangerPolicy, Vec<DeliveryToken>)>,
        at: Timestamp,
    ) -> Decision {
        let opened = match self.owner {
            None => MailboxEvent::MailboxOpened { key, owner, at },
            Some(present) if present != owner => return Err(MailboxError::OwnedByAnother),
            Some(_) if self.closed => return Err(MailboxError::NotOpen),
            Some(_) if self.forward.is_none() => return Ok(Vec::new()),
            Some(_) => MailboxEvent::MailboxReopened { at },
        };
        let mut events = vec![opened];
        if let Some((policy, tokens)) = inherited {
            if *policy != self.policy {
                let policy = *policy;
                events.push(MailboxEvent::StrangerPolicyChanged { policy, at });
            }
            let fresh: Vec<_> = self.unknown(tokens).collect();
            if self.tokens.len() + fresh.len() > DELIVERY_TOKENS_MAX {
                return Err(MailboxError::TooManyTokens);
            }
            let parts = fresh.chunks(DELIVERY_TOKENS_PER_REQUEST_MAX);
            events.extend(parts.map(|tokens| MailboxEvent::DeliveryTokensAdded {
                tokens: tokens.to_vec(),
                at,
            }));
        }
        Ok(events)
    }

    pub(super) fn forward_to(&self, to: MessagingKey, at: Timestamp) -> Vec<MailboxEvent> {
        let already = self.forward.is_some_and(|forward| forward.to == to);
        if !self.is_open() || already || self.key == Some(to) {
            return Vec::new();
        }
        let until = at.plus(MAILBOX_FORWARD_MAX);
        vec![MailboxEvent::MailboxForwarded { to, until, at }]
    }

    pub(super) fn set_stranger_policy(&self, policy: StrangerPolicy, at: Timestamp) -> Decision {
        self.is_open().then_some(()).ok_or(MailboxError::NotOpen)?;
        if policy == self.policy {
            return Ok(Vec::new());
        }
        Ok(vec![MailboxEvent::StrangerPolicyChanged { policy, at }])
    }

    pub(super) fn add_tokens(&self, tokens: &[DeliveryToken], at: Timestamp) -> Decision {
        self.is_open().then_some(()).ok_or(MailboxError::NotOpen)?;
        countable(tokens.len())?;
        let mut tokens: Vec<_> = self.unknown(tokens).collect();
        tokens.sort_unstable();
        tokens.dedup_by_key(|token| token.hash);
        if self.tokens.len() + tokens.len() > DELIVERY_TOKENS_MAX {
            return Err(MailboxError::TooManyTokens);
        }
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![MailboxEvent::DeliveryTokensAdded { tokens, at }])
    }

    pub(super) fn revoke_tokens(&self, hashes: &[TokenHash], at: Timestamp) -> Decision {
        self.is_open().then_some(()).ok_or(MailboxError::NotOpen)?;
        countable(hashes.len())?;
        let mut hashes = hashes.to_vec();
        hashes.retain(|hash| self.tokens.contains_key(hash));
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![MailboxEvent::DeliveryTokensRevoked { hashes, at }])
    }

    /// In parts, because an event holds no more hashes than a request.
    pub(super) fn revoke_all_tokens(&self, at: Timestamp) -> Decision {
        self.is_open().then_some(()).ok_or(MailboxError::NotOpen)?;
        let hashes: Vec<TokenHash> = self.tokens.keys().copied().collect();
        let parts = hashes.chunks(DELIVERY_TOKENS_PER_REQUEST_MAX);
        Ok(parts
            .map(|hashes| MailboxEvent::DeliveryTokensRevoked {
                hashes: hashes.to_vec(),
                at,
            })
            .collect())
    }

    /// Those that it does not have. How a token can be used never changes.
    fn unknown(&self, tokens: &[DeliveryToken]) -> impl Iterator<Item = DeliveryToken> {
        let unknown = |token: &&DeliveryToken| !self.tokens.contains_key(&token.hash);
        tokens.iter().filter(unknown).copied()
    }

    pub(super) fn accept(
        &self,
        letter: &Letter,
        introduction: &Introduction,
        at: Timestamp,
    ) -> Decision {
        let head = self.head.filter(|_| self.is_open());
        let head = head.ok_or(MailboxError::NotOpen)?;
        if let Some(forward) = self.forward {
            return Err(if at < forward.until {
                MailboxError::Forwarded { to: forward.to }
            } else {
                MailboxError::NotOpen
            });
        }
        let Admission { knock, spent } = self.admit(introduction)?;
        if knock && !self.has_room_for_knock(letter.size) {
            return Err(MailboxError::StrangerRefused);
        }
        if !self.has_room(letter.size) {
            return Err(MailboxError::Full);
        }
        let seq = self.last_seq + 1;
        let (id, digest) = (letter.id, letter.digest);
        let ttl = if knock { KNOCK_TTL } else { letter.ttl };
        let accepted = MailboxEvent::MessageAccepted {
            seq,
            id,
            size: letter.size,
            digest,
            chain: extend_chain(head, seq, id, digest),
            knock,
            at,
            expires_at: at.plus(ttl),
        };
        let spent = spent.map(|hash| MailboxEvent::DeliveryTokenSpent { hash, at });
        Ok([accepted].into_iter().chain(spent).collect())
    }

    /// A token that is not known counts as none: what was revoked looks like what never was.
    fn admit(&self, introduction: &Introduction) -> Result<Admission, MailboxError> {
        let token = introduction
            .token
            .and_then(|hash| self.tokens.get_key_value(&hash));
        let (knock, spent) = match (token, self.policy) {
            (Some((_, TokenUse::Lasting)), _) => (false, None),
            (Some((hash, TokenUse::Once)), policy) => (policy != StrangerPolicy::Open, Some(*hash)),
            (None, StrangerPolicy::Knock) if introduction.has_worked => (true, None),
            (None, StrangerPolicy::Open)
                if introduction.has_worked || introduction.is_registered =>
            {
                (false, None)
            }
            (None, _) => return Err(MailboxError::StrangerRefused),
        };
        Ok(Admission { knock, spent })
    }

    /// Strangers are never told that a mailbox is full: only its contacts may know.
    fn has_room_for_knock(&self, size: SizeBucket) -> bool {
        size.bytes() <= KNOCK_BYTES_MAX && self.held_knocks < KNOCKS_MAX && self.has_room(size)
    }

    /// Once until there is room again, and not when there is room already.
    pub(super) fn note_full(&self, at: Timestamp) -> Vec<MailboxEvent> {
        if self.is_open() && self.full_since.is_none() && !self.is_roomy() {
            vec![MailboxEvent::MailboxFilled { at }]
        } else {
            Vec::new()
        }
    }
}

fn countable(actual: usize) -> Result<(), MailboxError> {
    if actual == 0 || actual > DELIVERY_TOKENS_PER_REQUEST_MAX {
        return Err(MailboxError::TokenCount { actual });
    }
    Ok(())
}
