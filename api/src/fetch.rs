//! Fetching: what waits in a mailbox, with bodies, a signed head, and the wait for the first message.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use satpost_api_types::message_body::MessageBody;
use satpost_api_types::messages::{Delivery, FetchMessagesResponse, SignedHead, head_bytes};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::limits::{
    FETCH_BYTES_MAX, FETCH_MESSAGES_DEFAULT, FETCH_MESSAGES_MAX, FETCH_WAIT_MAX,
};
use satpost_domain::mailbox::{GoneReason, ParkReason};
use satpost_domain::{MessagingKey, Timestamp};
use satpost_projections::mailbox_queue::{Places, QueueHead, QueuePage, QueuedMessage};
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};

use crate::extract::{PageSize, State};
use crate::problem::ApiError;
use crate::queue_page;

/// How often a page is read again when a body of it was erased in between.
pub(crate) const RACES_MAX: u32 = 10;
/// How long the read model gets to hear of such an erasure.
pub(crate) const RACE_PAUSE: Duration = Duration::from_millis(50);

/// `after`, `limit`, `max_bytes`, `parked`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FetchMessagesParameters {
    /// The `cursor` of the page before; never before the last acknowledged message.
    #[param(value_type = Option<u64>, format = "uint64")]
    after: Option<u64>,
    /// How many messages at most; 50 when it is absent.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 256)]
    limit: Option<PageSize<FETCH_MESSAGES_MAX>>,
    /// How many body bytes at most, one message always fits; 1 MiB when it is absent.
    max_bytes: Option<usize>,
    /// `true` for the messages that were set aside, instead of those in line.
    parked: Option<bool>,
}

impl FetchMessagesParameters {
    fn after(&self) -> u64 {
        self.after.unwrap_or(0)
    }

    fn messages_max(&self) -> usize {
        self.limit.map_or(FETCH_MESSAGES_DEFAULT, PageSize::get)
    }

    fn bytes_max(&self) -> usize {
        self.max_bytes
            .unwrap_or(FETCH_BYTES_MAX)
            .min(FETCH_BYTES_MAX)
    }
}

/// What a fetch found.
pub(crate) enum Fetched {
    /// Messages, or nothing when nobody wanted to wait.
    Page(FetchMessagesResponse),
    /// Nothing came in time.
    NothingCame,
}

/// Fetches from `mailbox`; an empty line is waited on for up to `wait`.
pub(crate) async fn fetch(
    state: &State,
    mailbox: MessagingKey,
    parameters: &FetchMessagesParameters,
    wait: Option<Duration>,
) -> Result<Fetched, ApiError> {
    for _ in 0..RACES_MAX {
        let Some(page) = page(state, &mailbox, parameters, wait).await? else {
            return Ok(Fetched::NothingCame);
        };
        if let Some(messages) = deliveries(state, &page.messages).await? {
            let full_since = state.read_model.mailbox_queue().full_since(&mailbox);
            return Ok(Fetched::Page(FetchMessagesResponse {
                cursor: messages
                    .last()
                    .map_or_else(|| parameters.after(), |last| last.seq),
                messages,
                more: page.more,
                head: signed_head(state, &mailbox, page.head),
                full_since: full_since.map(Timestamp::as_millis),
            }));
        }
        // Another device acknowledged, or a message expired: the log knows, the page does not yet.
        sleep(RACE_PAUSE).await;
    }
    Err(ApiError::internal(
        "the body of a waiting message is not there",
    ))
}

/// The next page; nothing when `wait` was given and ran out.
async fn page(
    state: &State,
    mailbox: &MessagingKey,
    parameters: &FetchMessagesParameters,
    wait: Option<Duration>,
) -> Result<Option<QueuePage>, ApiError> {
    if parameters.parked == Some(true) {
        let parked = parked(state, mailbox, parameters)?;
        return queue_page::complete(state, parked).await.map(Some);
    }
    let first = in_line(state, mailbox, parameters)?;
    match wait {
        Some(wait) if first.places.is_empty() => {
            wait_for_page(state, mailbox, parameters, wait).await
        }
        Some(_) | None => queue_page::complete(state, first).await.map(Some),
    }
}

/// Waits for a message. Only so many may wait at once; one more is told at once that nothing came.
async fn wait_for_page(
    state: &State,
    mailbox: &MessagingKey,
    parameters: &FetchMessagesParameters,
    wait: Duration,
) -> Result<Option<QueuePage>, ApiError> {
    let Ok(_room) = state.waiting_fetches.try_acquire() else {
        return Ok(None);
    };
    let _counted = state.metrics.waiting();
    let deadline = Instant::now() + wait;
    // Taken before the queue is looked at: what arrives in between is not missed.
    let mut arrivals = state.read_model.arrivals(mailbox);
    loop {
        let next = in_line(state, mailbox, parameters)?;
        if !next.places.is_empty() {
            return queue_page::complete(state, next).await.map(Some);
        }
        tokio::select! {
            () = arrivals.next() => {}
            () = sleep_until(deadline) => return Ok(None),
            () = state.stopped() => return Ok(None),
        }
    }
}

fn in_line(
    state: &State,
    mailbox: &MessagingKey,
    parameters: &FetchMessagesParameters,
) -> Result<Places, ApiError> {
    let (after, messages_max) = (parameters.after(), parameters.messages_max());
    let queues = state.read_model.mailbox_queue();
    queues
        .page(mailbox, after, messages_max, parameters.bytes_max())
        .ok_or_else(|| ApiError::new(ProblemCode::NotRegistered))
}

fn parked(
    state: &State,
    mailbox: &MessagingKey,
    parameters: &FetchMessagesParameters,
) -> Result<Places, ApiError> {
    let (after, messages_max) = (parameters.after(), parameters.messages_max());
    let queues = state.read_model.mailbox_queue();
    queues
        .parked(mailbox, after, messages_max, parameters.bytes_max())
        .ok_or_else(|| ApiError::new(ProblemCode::NotRegistered))
}

/// The messages with their bodies; nothing when one was erased since the page was read.
pub(crate) async fn deliveries(
    state: &State,
    messages: &[QueuedMessage],
) -> Result<Option<Vec<Delivery>>, ApiError> {
    let mut deliveries = Vec::with_capacity(messages.len());
    for message in messages {
        let body = if message.gone.is_some() {
            None
        } else {
            let Some(body) = state.payloads.read(message.id.into()).await? else {
                return Ok(None);
            };
            Some(body.into())
        };
        deliveries.push(delivery(message, body));
    }
    Ok(Some(deliveries))
}

fn delivery(message: &QueuedMessage, body: Option<MessageBody>) -> Delivery {
    Delivery {
        seq: message.seq,
        id: message.id.to_string(),
        chain: message.chain.to_string(),
        digest: message.digest.to_string(),
        accepted_at: message.accepted_at.as_millis(),
        expires_at: message.expires_at.as_millis(),
        knock: message.knock,
        body,
        gone: message.gone.map(|reason| match reason {
            GoneReason::Expired => "expired".to_owned(),
            GoneReason::Wiped => "wiped".to_owned(),
        }),
        parked: message.parked.map(|reason| match reason {
            ParkReason::Decrypt => "decrypt".to_owned(),
            ParkReason::Format => "format".to_owned(),
            ParkReason::Other => "other".to_owned(),
        }),
    }
}

/// The phone is awake: it need not count as woken any longer.
pub(crate) fn note_fetch(state: &State, mailbox: &MessagingKey) {
    if state.read_model.wakes().is_empty() {
        return;
    }
    let owner = state.read_model.client_directory().owner(mailbox);
    if let Some(client) = owner {
        state.read_model.wakes().fetched(&client, state.clock.now());
    }
}

/// The server's word on a mailbox.
pub(crate) fn signed_head(state: &State, mailbox: &MessagingKey, head: QueueHead) -> SignedHead {
    let signed = head_bytes(mailbox.as_bytes(), head.seq, head.chain.as_bytes());
    SignedHead {
        seq: head.seq,
        chain: head.chain.to_string(),
        signature: hex::encode(state.receipt_signer.sign(&signed)),
    }
}

/// How long the client wants to wait (RFC 7240, 4.3), at most [`FETCH_WAIT_MAX`]. A preference that
/// does not parse is ignored, as that RFC asks.
pub(crate) fn preferred_wait(request: &HttpRequest) -> Option<Duration> {
    let values = request.headers().get_all("prefer");
    let seconds = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|preference| preference.trim().strip_prefix("wait=")?.parse().ok())?;
    Some(Duration::from_secs(seconds).min(FETCH_WAIT_MAX))
}

/// Says that the preference was heard.
pub(crate) fn say_applied(answer: &mut HttpResponse, wait: Duration) {
    let value = HeaderValue::from_str(&format!("wait={}", wait.as_secs()))
        .expect("digits are a header value");
    answer
        .headers_mut()
        .insert(HeaderName::from_static("preference-applied"), value);
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn understands_the_wait_preference() {
        let wait = |prefer: &'static str| {
            let request = TestRequest::default().insert_header(("prefer", prefer));
            preferred_wait(&request.to_http_request()).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("wait=7"), Some(7));
        assert_eq!(wait("respond-async, wait=7"), Some(7));
        assert_eq!(wait("wait=3600"), Some(FETCH_WAIT_MAX.as_secs()));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait("respond-async"), None);
    }
}
