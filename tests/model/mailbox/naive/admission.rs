//! Who may write to the list, and whether there is room.

use std::collections::BTreeSet;

use satpost_domain::limits::{
    DELIVERY_TOKENS_MAX, DELIVERY_TOKENS_PER_REQUEST_MAX, KNOCK_BYTES_MAX, KNOCK_TTL, KNOCKS_MAX,
    MAILBOX_BYTES_MAX, MAILBOX_FORWARD_MAX, MAILBOX_LINE_MAX, MAILBOX_MESSAGES_MAX,
    MESSAGE_TTL_DEFAULT, MESSAGE_TTL_MAX, MESSAGE_TTL_MIN,
};
use satpost_domain::mailbox::{
    DeliveryToken, Introduction, MailboxCommand, MailboxError, MailboxEvent, SizeBucket,
    StrangerPolicy, TokenUse, extend_chain,
};
use satpost_domain::{ClientId, MessagingKey, Timestamp};

use super::{Answer, Naive};

impl Naive {
    pub(super) fn expect_admission(&self, command: &MailboxCommand) -> Answer {
        let open = || self.is_open().then_some(()).ok_or(MailboxError::NotOpen);
        match command {
            MailboxCommand::Open {
                key,
                owner,
                inherited,
                at,
            } => self.expect_open(*key, *owner, inherited.as_ref(), *at),
            MailboxCommand::Forward { to, at } => {
                let already = self.forward.is_some_and(|(present, _)| present == *to);
                if !self.is_open() || already || *to == self.key {
                    return Ok(Vec::new());
                }
                let (to, until, at) = (*to, at.plus(MAILBOX_FORWARD_MAX), *at);
                Ok(vec![MailboxEvent::MailboxForwarded { to, until, at }])
            }
            MailboxCommand::SetStrangerPolicy { policy, at } => {
                open()?;
                Ok(self.expect_policy(*policy, *at))
            }
            MailboxCommand::AddTokens { tokens, at } => {
                open()?;
                countable(tokens.len())?;
                let new = self.new_tokens(tokens)?;
                let (tokens, at) = (new, *at);
                Ok(some_if(!tokens.is_empty(), || {
                    MailboxEvent::DeliveryTokensAdded { tokens, at }
                }))
            }
            MailboxCommand::RevokeTokens { hashes, at } => {
                open()?;
                countable(hashes.len())?;
                let known = |hash: &&_| self.tokens.iter().any(|token| token.hash == **hash);
                let hashes: BTreeSet<_> = hashes.iter().filter(known).copied().collect();
                let (hashes, at): (Vec<_>, _) = (hashes.into_iter().collect(), *at);
                Ok(some_if(!hashes.is_empty(), || {
                    MailboxEvent::DeliveryTokensRevoked { hashes, at }
                }))
            }
            MailboxCommand::RevokeAllTokens { at } => {
                open()?;
                let hashes: BTreeSet<_> = self.tokens.iter().map(|token| token.hash).collect();
                let (hashes, at): (Vec<_>, _) = (hashes.into_iter().collect(), *at);
                Ok(some_if(!hashes.is_empty(), || {
                    MailboxEvent::DeliveryTokensRevoked { hashes, at }
                }))
            }
            MailboxCommand::NoteFull { at } => {
                let filled = self.is_open() && !self.full && !self.is_roomy();
                Ok(some_if(filled, || MailboxEvent::MailboxFilled { at: *at }))
            }
            MailboxCommand::Accept { .. } => self.expect_accept(command),
            other => panic!("{other:?} is not about who may write"),
        }
    }

    fn expect_open(
        &self,
        key: MessagingKey,
        owner: ClientId,
        inherited: Option<&(StrangerPolicy, Vec<DeliveryToken>)>,
        at: Timestamp,
    ) -> Answer {
        let mut events = match self.owner {
            None => vec![MailboxEvent::MailboxOpened { key, owner, at }],
            Some(known) if known != owner => return Err(MailboxError::OwnedByAnother),
            Some(_) if self.closed => return Err(MailboxError::NotOpen),
            Some(_) if self.forward.is_some() => vec![MailboxEvent::MailboxReopened { at }],
            Some(_) => return Ok(Vec::new()),
        };
        if let Some((policy, tokens)) = inherited {
            events.extend(self.expect_policy(*policy, at));
            for tokens in self
                .new_tokens(tokens)?
                .chunks(DELIVERY_TOKENS_PER_REQUEST_MAX)
            {
                let tokens = tokens.to_vec();
                events.push(MailboxEvent::DeliveryTokensAdded { tokens, at });
            }
        }
        Ok(events)
    }

    fn expect_policy(&self, policy: StrangerPolicy, at: Timestamp) -> Vec<MailboxEvent> {
        some_if(policy != self.policy, || {
            MailboxEvent::StrangerPolicyChanged { policy, at }
        })
    }

    /// Those of `tokens` that are not there yet, ascending.
    fn new_tokens(&self, tokens: &[DeliveryToken]) -> Result<Vec<DeliveryToken>, MailboxError> {
        let new = |token: &&DeliveryToken| self.tokens.iter().all(|old| old.hash != token.hash);
        let new: BTreeSet<_> = tokens.iter().filter(new).copied().collect();
        if self.tokens.len() + new.len() > DELIVERY_TOKENS_MAX {
            return Err(MailboxError::TooManyTokens);
        }
        Ok(new.into_iter().collect())
    }

    fn expect_accept(&self, command: &MailboxCommand) -> Answer {
        let MailboxCommand::Accept {
            id,
            digest,
            size,
            ttl,
            introduction,
            at,
        } = command
        else {
            panic!("only asked about messages");
        };
        let bucket = SizeBucket::of(*size).ok_or(MailboxError::NotPadded { actual: *size })?;
        let ttl = ttl.unwrap_or(MESSAGE_TTL_DEFAULT);
        if ttl < MESSAGE_TTL_MIN || ttl > MESSAGE_TTL_MAX {
            let actual = ttl.as_secs();
            return Err(MailboxError::TtlOutOfBounds { actual });
        }
        if !self.is_open() {
            return Err(MailboxError::NotOpen);
        }
        match self.forward {
            Some((to, until)) if *at < until => return Err(MailboxError::Forwarded { to }),
            Some(_) => return Err(MailboxError::NotOpen),
            None => {}
        }
        let token = self.shown(introduction);
        let knock = self.is_knock(introduction, token)?;
        let fits = self.has_room(*size);
        if knock && (*size > KNOCK_BYTES_MAX || self.knocks() == KNOCKS_MAX || !fits) {
            return Err(MailboxError::StrangerRefused);
        }
        if !fits {
            return Err(MailboxError::Full);
        }
        let seq = self.last() + 1;
        let mut events = vec![MailboxEvent::MessageAccepted {
            seq,
            id: *id,
            size: bucket,
            digest: *digest,
            chain: extend_chain(self.chain(self.last()), seq, *id, *digest),
            knock,
            at: *at,
            expires_at: at.plus(if knock { KNOCK_TTL } else { ttl }),
        }];
        if let Some(token) = token.filter(|token| token.uses == TokenUse::Once) {
            let hash = token.hash;
            events.push(MailboxEvent::DeliveryTokenSpent { hash, at: *at });
        }
        Ok(events)
    }

    /// The token that a sender shows, if the mailbox has it.
    fn shown(&self, introduction: &Introduction) -> Option<DeliveryToken> {
        let mut tokens = self.tokens.iter().copied();
        tokens.find(|token| introduction.token == Some(token.hash))
    }

    /// Whether who is let in counts as a stranger.
    fn is_knock(
        &self,
        introduction: &Introduction,
        token: Option<DeliveryToken>,
    ) -> Result<bool, MailboxError> {
        let uses = token.map(|token| token.uses);
        if uses == Some(TokenUse::Lasting) {
            return Ok(false);
        }
        let Introduction {
            has_worked,
            is_registered,
            ..
        } = *introduction;
        let (is_let_in, knock) = match self.policy {
            StrangerPolicy::Refuse => (false, true),
            StrangerPolicy::Knock => (has_worked, true),
            StrangerPolicy::Open => (has_worked || is_registered, false),
        };
        if uses == Some(TokenUse::Once) || is_let_in {
            Ok(knock)
        } else {
            Err(MailboxError::StrangerRefused)
        }
    }

    fn has_room(&self, size: usize) -> bool {
        let bytes: usize = self.held().map(|message| message.size).sum();
        self.held().count() < MAILBOX_MESSAGES_MAX
            && bytes + size <= MAILBOX_BYTES_MAX
            && self.in_line() < MAILBOX_LINE_MAX
    }

    /// No bound is used to more than three quarters.
    pub(in super::super) fn is_roomy(&self) -> bool {
        let bytes: usize = self.held().map(|message| message.size).sum();
        4 * self.held().count() <= 3 * MAILBOX_MESSAGES_MAX
            && 4 * bytes <= 3 * MAILBOX_BYTES_MAX
            && 4 * self.in_line() <= 3 * MAILBOX_LINE_MAX
    }

    fn in_line(&self) -> usize {
        usize::try_from(self.last() - self.acknowledged).expect("a line is bounded")
    }

    /// Says as well that there is room, when `events` are what makes a full mailbox roomy.
    pub(super) fn with_room(
        &self,
        mut events: Vec<MailboxEvent>,
        at: Timestamp,
    ) -> Vec<MailboxEvent> {
        if self.full && !events.is_empty() {
            let mut after = self.clone();
            after.apply(&events);
            events.extend(some_if(after.is_roomy(), || MailboxEvent::MailboxHasRoom {
                at,
            }));
        }
        events
    }
}

fn countable(actual: usize) -> Result<(), MailboxError> {
    match actual {
        1..=DELIVERY_TOKENS_PER_REQUEST_MAX => Ok(()),
        _ => Err(MailboxError::TokenCount { actual }),
    }
}

fn some_if(condition: bool, event: impl FnOnce() -> MailboxEvent) -> Vec<MailboxEvent> {
    condition.then(event).into_iter().collect()
}
