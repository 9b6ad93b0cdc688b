//! One way for every message that is sent: who sends it, what its sender shows, which command it is,
//! and refusals that all take the same time.

use std::sync::Arc;
use std::time::Duration;

use satpost_api_types::messages::SendMessageResponse;
use satpost_api_types::problem::ProblemCode;
use satpost_commands::CommandContext;
use satpost_commands::send_message::{self as send, AcceptedMessage, Posting};
use satpost_domain::hash::{sha256, tagged_16};
use satpost_domain::ids::{TokenHash, parse_hex};
use satpost_domain::mailbox::{Introduction, WorkProof, WorkSubject, token_hash};
use satpost_domain::{CommandId, MessagingKey, Position, RequestDigest};
use tokio::time::{Instant, sleep_until};

use crate::extract::{Sender, State};
use crate::metrics::Admission;
use crate::problem::{ApiError, delivery_refusal};
use crate::receipts;

/// A message as it came, signed or not, alone or in a batch.
pub(crate) struct Item {
    /// Whom it is for.
    pub(crate) recipient: MessagingKey,
    /// The sealed body.
    pub(crate) body: Arc<[u8]>,
    /// How long it may wait.
    pub(crate) ttl: Option<Duration>,
    /// Its idempotency key.
    pub(crate) key: [u8; 16],
    /// The hash of the delivery token that was shown.
    pub(crate) token: Option<TokenHash>,
    /// The work that was done for it.
    pub(crate) work: Option<WorkProof>,
}

/// A message that is durable.
pub(crate) struct Delivered {
    /// The answer.
    pub(crate) response: SendMessageResponse,
    /// A reader at this position sees it.
    pub(crate) position: Position,
    /// True when it was taken before and this is the first answer again.
    pub(crate) repeated: bool,
}

/// The hash of a delivery token from its text.
///
/// # Errors
/// `malformed` when it is not 64 lower-case hexadecimal characters.
pub(crate) fn parse_token(text: &str) -> Result<TokenHash, ApiError> {
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let token = parse_hex(text).ok().filter(|_| lower).ok_or_else(|| {
        ApiError::malformed("a delivery token is 64 lower-case hexadecimal characters")
    })?;
    Ok(token_hash(&token))
}

/// Takes a message, or refuses it. Every refusal that depends on the mailbox is answered a fixed time
/// after this was called; who is let in waits for nothing.
///
/// # Errors
/// `delivery-refused` for all that a sender is not to know, and what else [`send::send_message`] says.
pub(crate) async fn deliver(
    state: &State,
    sender: Sender,
    item: &Item,
) -> Result<Delivered, ApiError> {
    let called = Instant::now();
    let answer = attempt(state, sender, item).await;
    if let Err(error) = &answer {
        if error.code == ProblemCode::DeliveryRefused {
            state.metrics.admission(Admission::Refused);
        }
        sleep_until(next_step(called, Instant::now(), state.config.refusal_time)).await;
    }
    answer
}

/// Counts a message for its sender, where the request as a whole does not count for it.
///
/// # Errors
/// `rate-limited`.
pub(crate) fn check_unnamed(state: &State, sender: Sender, item: &Item) -> Result<(), ApiError> {
    match (sender, &item.token) {
        (Sender::Registered(_), _) => Ok(()),
        (Sender::Unnamed(_), Some(token)) => state.rate_limiters.check_token(token),
        (Sender::Unnamed(peer), None) => state.rate_limiters.check_stranger(peer),
    }
}

async fn attempt(state: &State, sender: Sender, item: &Item) -> Result<Delivered, ApiError> {
    let posting = Posting {
        recipient: item.recipient,
        body: Arc::clone(&item.body),
        ttl: item.ttl,
        introduction: introduction(state, sender, item),
    };
    let accepted = send::send_message(&state.handler, context(sender, item), &posting).await;
    let accepted =
        accepted.map_err(|error| delivery_refusal(error, state.config.knock_work_bits))?;
    if !accepted.repeated {
        state.metrics.admission(admission(item, &accepted));
    }
    Ok(Delivered {
        response: receipts::accepted(state.receipt_signer.as_ref(), &item.recipient, &accepted),
        position: accepted.position,
        repeated: accepted.repeated,
    })
}

fn introduction(state: &State, sender: Sender, item: &Item) -> Introduction {
    let has_worked = item.work.is_some_and(|work| {
        let subject = WorkSubject {
            recipient: item.recipient,
            digest: sha256(&item.body),
            command_id: CommandId::new(item.key),
        };
        work.holds(&subject, state.config.knock_work_bits, state.clock.now())
    });
    Introduction {
        token: item.token,
        has_worked,
        is_registered: matches!(sender, Sender::Registered(_)),
    }
}

/// Which command this is. Bound to who sends, as far as the server may know: a client, the holder of
/// a token, or strangers, who share the keys they draw at random.
fn context(sender: Sender, item: &Item) -> CommandContext {
    let command_id = match (sender, &item.token) {
        (Sender::Registered(client), _) => {
            tagged_16("satpost/command-id/1", &[client.as_bytes(), &item.key])
        }
        (Sender::Unnamed(_), Some(token)) => {
            tagged_16("satpost/token-command-id/1", &[token.as_bytes(), &item.key])
        }
        (Sender::Unnamed(_), None) => tagged_16("satpost/stranger-command-id/1", &[&item.key]),
    };
    let ttl = item.ttl.map(|ttl| ttl.as_secs().to_be_bytes());
    let ttl = ttl.as_ref().map_or(&[][..], <[u8; 8]>::as_slice);
    let digest = sha256(&item.body);
    let asked: [&[u8]; 3] = [item.recipient.as_bytes(), digest.as_bytes(), ttl];
    CommandContext {
        command_id: CommandId::new(command_id),
        request_digest: RequestDigest::new(tagged_16("satpost/send/1", &asked)),
    }
}

/// How a message came in. Whether a token that an open mailbox was shown is one of its own is not
/// told by what happened, so it counts as a contact's.
fn admission(item: &Item, accepted: &AcceptedMessage) -> Admission {
    if accepted.spent_token {
        Admission::Once
    } else if accepted.knock {
        Admission::Knock
    } else if item.token.is_some() {
        Admission::Contact
    } else {
        Admission::Open
    }
}

/// The first moment after `now` that is a whole number of `step`s after `start`, one at least.
fn next_step(start: Instant, now: Instant, step: Duration) -> Instant {
    if step.is_zero() {
        return now;
    }
    let steps = (now - start).as_nanos() / step.as_nanos() + 1;
    start + step * u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_next_whole_step() {
        let (start, step) = (Instant::now(), Duration::from_millis(50));
        let after = |passed| next_step(start, start + Duration::from_millis(passed), step) - start;
        assert_eq!(after(0), step);
        assert_eq!(after(49), step);
        assert_eq!(after(50), 2 * step);
        assert_eq!(after(120), 3 * step);
        assert_eq!(next_step(start, start, Duration::ZERO), start);
    }

    #[test]
    fn no_two_kinds_of_senders_share_a_command() {
        let client = satpost_domain::ClientId::from_stored([1; 32]);
        let item = |token| Item {
            recipient: MessagingKey::from_stored([2; 32]),
            body: Arc::from([0; 512]),
            ttl: None,
            key: [3; 16],
            token,
            work: None,
        };
        let unnamed = Sender::Unnamed([127, 0, 0, 1].into());
        let token = TokenHash::new([1; 32]);
        let ids = [
            context(Sender::Registered(client), &item(None)),
            context(unnamed, &item(Some(token))),
            context(unnamed, &item(Some(TokenHash::new([4; 32])))),
            context(unnamed, &item(None)),
        ]
        .map(|context| context.command_id);
        for (place, id) in ids.iter().enumerate() {
            assert!(!ids[..place].contains(id), "{place}");
        }
        // A client that shows a token is still itself.
        let shown = context(Sender::Registered(client), &item(Some(token)));
        assert_eq!(shown.command_id, ids[0]);
    }

    #[test]
    fn a_token_has_one_spelling() {
        assert!(parse_token(&"ab".repeat(32)).is_ok());
        for bad in ["", "ab", &"AB".repeat(32), &"zz".repeat(32)] {
            assert!(parse_token(bad).is_err(), "{bad}");
        }
    }
}
