//! Subscriptions and the messages that wait in them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use uuid::Uuid;

/// All subscriptions of a push service.
#[derive(Default)]
pub(super) struct Store {
    subscriptions: HashMap<String, Subscription>,
    /// From the id in a push resource to that of its subscription.
    push_ids: HashMap<String, String>,
    messages: u64,
}

struct Subscription {
    vapid: Option<String>,
    messages: Vec<Message>,
    ended: bool,
}

/// A push that waits for its phone.
pub(super) struct Message {
    body: Bytes,
    topic: Option<String>,
    expires_at: Instant,
}

/// Why a subscription could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    /// There is none by this id.
    #[error("there is no such subscription")]
    Unknown,
    /// The phone has ended it.
    #[error("the phone has ended the subscription")]
    Gone,
    /// The phone subscribed with another server's key.
    #[error("the phone subscribed with another server's key")]
    OtherKey,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a push service has a clock and an id source of its own"
)]
impl Message {
    pub(super) fn new(body: Bytes, topic: Option<String>, ttl: Duration) -> Self {
        Self {
            body,
            topic,
            expires_at: Instant::now() + ttl,
        }
    }

    fn is_expired(&self) -> bool {
        self.expires_at <= Instant::now()
    }
}

impl Store {
    /// Makes a subscription; gives its id and that of its push resource, which say nothing about
    /// each other.
    #[expect(
        clippy::disallowed_methods,
        reason = "a push service has a clock and an id source of its own"
    )]
    pub(super) fn subscribe(&mut self, vapid: Option<String>) -> (String, String) {
        let (id, push_id) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        self.push_ids.insert(push_id.clone(), id.clone());
        let subscription = Subscription {
            vapid,
            messages: Vec::new(),
            ended: false,
        };
        self.subscriptions.insert(id.clone(), subscription);
        (id, push_id)
    }

    /// Stores a message that `key` has signed for. One with a topic replaces those with the same
    /// topic that still wait (RFC 8030, section 5.4).
    pub(super) fn push(
        &mut self,
        push_id: &str,
        key: &str,
        message: Message,
    ) -> Result<u64, StoreError> {
        let id = self.push_ids.get(push_id).ok_or(StoreError::Unknown)?;
        let subscription = self.subscriptions.get_mut(id).ok_or(StoreError::Unknown)?;
        if subscription.ended {
            return Err(StoreError::Gone);
        }
        if subscription.vapid.as_deref().is_some_and(|own| own != key) {
            return Err(StoreError::OtherKey);
        }
        if message.topic.is_some() {
            subscription
                .messages
                .retain(|waiting| waiting.topic != message.topic);
        }
        subscription.messages.push(message);
        self.messages += 1;
        Ok(self.messages)
    }

    /// Takes what waits in a subscription and has not expired.
    pub(super) fn take(&mut self, id: &str) -> Result<Vec<Bytes>, StoreError> {
        let subscription = self.live(id)?;
        let waiting = std::mem::take(&mut subscription.messages);
        Ok(waiting
            .into_iter()
            .filter(|message| !message.is_expired())
            .map(|message| message.body)
            .collect())
    }

    /// Ends a subscription: later pushes to it are answered 410.
    pub(super) fn unsubscribe(&mut self, id: &str) -> Result<(), StoreError> {
        let subscription = self.live(id)?;
        subscription.ended = true;
        subscription.messages.clear();
        Ok(())
    }

    fn live(&mut self, id: &str) -> Result<&mut Subscription, StoreError> {
        self.subscriptions
            .get_mut(id)
            .filter(|subscription| !subscription.ended)
            .ok_or(StoreError::Unknown)
    }
}
