//! A recipient and its own mailbox. Every route here is signed by the messaging key, which names the
//! mailbox: there is no way to ask for another one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, FetchMessagesResponse, QueueResponse,
    WipeQueueResponse,
};
use satpost_api_types::problem::ProblemCode;
use satpost_commands::wipe_queue as wipe;
use satpost_domain::Timestamp;
use satpost_domain::limits::{MAILBOX_BYTES_MAX, MAILBOX_MESSAGES_MAX};

use crate::acknowledge::settle;
use crate::extract::{Coded, Command, OwnMailbox, Query, State};
use crate::fetch::{self, FetchMessagesParameters, Fetched};
use crate::problem::ApiError;
use crate::receipts;
use crate::respond::{done, in_form};
use crate::routes::mailboxes;

/// Fetches the messages that wait, in order.
///
/// Signed by the messaging key. With `Prefer: wait=N` (at most 30 seconds) an empty queue is
/// answered when a message comes, or with 204 when none came in time. Delivery is at least once
/// until the acknowledgement; the order is that of `seq`. With `Accept: application/cbor` the answer
/// has the same members in CBOR, and bodies are byte strings.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", security(("signature" = [])),
    params(
        FetchMessagesParameters,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for a message (RFC 7240)"),
    ),
    responses(
        (status = 200, description = "What waits", content((FetchMessagesResponse = "application/json"), (FetchMessagesResponse = "application/cbor"))),
        (status = 204, description = "Nothing came while waiting"),
    )
)]
pub(crate) async fn fetch_messages(
    state: State,
    request: HttpRequest,
    query: Query<OwnMailbox, FetchMessagesParameters>,
) -> Result<HttpResponse, ApiError> {
    fetch::note_fetch(&state, &query.subject.0);
    let wait = fetch::preferred_wait(&request);
    let mut answer = match fetch::fetch(&state, query.subject.0, &query.parameters, wait).await? {
        Fetched::Page(page) => in_form(HttpResponse::Ok(), &request, &page),
        Fetched::NothingCame => HttpResponse::NoContent().finish(),
    };
    if let Some(wait) = wait {
        fetch::say_applied(&mut answer, wait);
    }
    Ok(answer)
}

/// Says what became of messages: stored, set aside, or done with.
///
/// Signed by the messaging key. Stored messages are forgotten by the server: acknowledge only what
/// the app has on its own disk. A repeat is harmless. The answer has a receipt: what was let go, and
/// when, signed by the server.
#[utoipa::path(
    post, path = "/v1/messages/ack", tag = "messages", security(("signature" = [])),
    request_body(content((AcknowledgeMessagesRequest = "application/json"), (AcknowledgeMessagesRequest = "application/cbor"))),
    responses((status = 200, description = "It is recorded", content((AcknowledgeMessagesResponse = "application/json"), (AcknowledgeMessagesResponse = "application/cbor"))))
)]
pub(crate) async fn acknowledge_messages(
    state: State,
    request: HttpRequest,
    command: Command<OwnMailbox, Coded<AcknowledgeMessagesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let (mailbox, body) = (command.subject.0, command.body.0);
    let settled = settle(&state, command.context, mailbox, body).await?;
    let answer = done(StatusCode::OK, settled.position);
    Ok(in_form(answer, &request, &settled.answer))
}

/// Tells a recipient about its own queue.
///
/// Signed by the messaging key.
#[utoipa::path(
    get, path = "/v1/queue", tag = "messages", security(("signature" = [])),
    responses((status = 200, description = "Depth, bytes, age and bounds", content((QueueResponse = "application/json"), (QueueResponse = "application/cbor"))))
)]
pub(crate) async fn get_queue(
    state: State,
    request: HttpRequest,
    query: Query<OwnMailbox>,
) -> Result<HttpResponse, ApiError> {
    let queues = state.read_model.mailbox_queue();
    let summary = queues
        .summary(&query.subject.0)
        .ok_or_else(|| ApiError::new(ProblemCode::NotRegistered))?;
    let queue = QueueResponse {
        messages: summary.messages,
        bytes: summary.bytes,
        parked: summary.parked,
        oldest_at: summary.oldest.map(Timestamp::as_millis),
        knocks: summary.knocks,
        strangers: mailboxes::told_policy(summary.policy),
        delivery_tokens: summary.delivery_tokens,
        full_since: summary.full_since.map(Timestamp::as_millis),
        acknowledged: summary.acknowledged,
        messages_max: MAILBOX_MESSAGES_MAX,
        bytes_max: MAILBOX_BYTES_MAX,
    };
    Ok(in_form(HttpResponse::Ok(), &request, &queue))
}

/// Lets go of every message in the queue; tombstones stay.
///
/// Signed by the messaging key. The answer has a receipt: how many were let go, and when, signed by
/// the server.
#[utoipa::path(
    delete, path = "/v1/queue", tag = "messages", security(("signature" = [])),
    responses((status = 200, description = "No message has a body any more", body = WipeQueueResponse))
)]
pub(crate) async fn wipe_queue(
    state: State,
    command: Command<OwnMailbox>,
) -> Result<HttpResponse, ApiError> {
    let mailbox = command.subject.0;
    let wiped = wipe::wipe_queue(&state.handler, command.context, mailbox).await?;
    let answer = receipts::wiped(state.receipt_signer.as_ref(), &mailbox, &wiped);
    Ok(done(StatusCode::OK, wiped.position).json(answer))
}
