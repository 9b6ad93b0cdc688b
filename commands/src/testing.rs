//! Doubles of the ports: an event log in memory that fails when it is told to, a clock that steps,
//! and ids that count; and a server that stands on them.

mod faulty_log;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use satpost_domain::ids::TokenHash;
use satpost_domain::mailbox::{DeliveryToken, Introduction, TokenUse};
use satpost_domain::push::VerificationCode;
use satpost_domain::{
    CommandId, MessageId, MessagingKey, PushTargetId, RequestDigest, Timestamp, WatchId,
};

use crate::add_delivery_tokens::add_delivery_tokens;

use crate::handler::{CommandContext, Handler};
use crate::ports::{Clock, EventLog, IdSource};
use crate::send_message::Posting;

pub use faulty_log::{Fault, FaultyLog};

/// A clock that moves on by one millisecond whenever it is read.
#[derive(Debug)]
pub struct StepClock(AtomicU64);

impl StepClock {
    /// Starts at `start`.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.as_millis()))
    }

    /// Moves on by `millis`.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Ids that count from 1; each is unique among all kinds of ids.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl CountingIds {
    fn next(&self) -> [u8; 16] {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        u128::from(number).to_be_bytes()
    }
}

impl IdSource for CountingIds {
    fn message_id(&self) -> MessageId {
        MessageId::new(self.next())
    }

    fn watch_id(&self) -> WatchId {
        // Counts in front: the last bytes are those of the place in a request.
        let mut bytes = self.next();
        bytes.reverse();
        WatchId::new(bytes)
    }

    fn push_target_id(&self) -> PushTargetId {
        PushTargetId::new(self.next())
    }

    fn verification_code(&self) -> VerificationCode {
        VerificationCode::new(self.next())
    }
}

/// The context of the command with this number, whatever it asks for.
#[must_use]
pub fn context(number: u64) -> CommandContext {
    let id = u128::from(number).to_be_bytes();
    CommandContext {
        command_id: CommandId::new(id),
        request_digest: RequestDigest::new(id),
    }
}

/// The delivery token of [`posting`].
pub const CONTACT: DeliveryToken = DeliveryToken {
    hash: TokenHash::new([0xc0; 32]),
    uses: TokenUse::Lasting,
};

/// A message from a contact of its recipient.
#[must_use]
pub fn posting(recipient: MessagingKey, body: impl Into<Arc<[u8]>>) -> Posting {
    let introduction = Introduction {
        token: Some(CONTACT.hash),
        has_worked: false,
        is_registered: true,
    };
    Posting {
        recipient,
        body: body.into(),
        ttl: None,
        introduction,
    }
}

/// Makes the sender of [`posting`] a contact of `mailbox`; asking again is harmless.
///
/// # Panics
/// When the mailbox is not open or the log fails.
pub async fn befriend(handler: &Handler, mailbox: MessagingKey) {
    let id = *mailbox
        .as_bytes()
        .last_chunk()
        .expect("a key has more bytes than an id");
    let context = CommandContext {
        command_id: CommandId::new(id),
        request_digest: RequestDigest::new(id),
    };
    add_delivery_tokens(handler, context, mailbox, vec![CONTACT])
        .await
        .expect("an open mailbox takes a token");
}

/// A server on a log in memory.
pub struct TestServer {
    /// Its log, which outlives a restart.
    pub log: Arc<FaultyLog>,
    /// Its clock, which goes on.
    pub clock: Arc<StepClock>,
    /// What a restart replaces.
    pub handler: Handler,
    ids: Arc<CountingIds>,
}

impl TestServer {
    /// Starts on an empty log.
    #[must_use]
    pub fn start() -> Self {
        let clock = StepClock::new(Timestamp::from_millis(1_000_000));
        Self::on(Arc::default(), Arc::new(clock), Arc::default())
    }

    /// Forgets everything that is not in the log.
    #[must_use]
    pub fn restart(self) -> Self {
        Self::on(self.log, self.clock, self.ids)
    }

    fn on(log: Arc<FaultyLog>, clock: Arc<StepClock>, ids: Arc<CountingIds>) -> Self {
        let handler = Handler::new(
            Arc::clone(&log) as Arc<dyn EventLog>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&ids) as Arc<dyn IdSource>,
        );
        Self {
            log,
            clock,
            handler,
            ids,
        }
    }
}
