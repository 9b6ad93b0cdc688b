//! A recipient and its own mailbox. Every route here is signed by the messaging key, which names the
//! mailbox: there is no way to ask for another one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, DeletionScope, FetchMessagesResponse,
    ParkedMessage, QueueResponse, WipeQueueResponse,
};
use satpost_api_types::problem::ProblemCode;
use satpost_commands::acknowledge_messages::{self as acknowledge, Acknowledgement};
use satpost_commands::{park_messages as park, wipe_queue as wipe};
use satpost_domain::limits::{MAILBOX_BYTES_MAX, MAILBOX_MESSAGES_MAX};
use satpost_domain::mailbox::ParkReason;
use satpost_domain::{MessageId, MessagingKey, Timestamp};

use crate::extract::{Command, Json, OwnMailbox, Query, State};
use crate::fetch::{self, FetchMessagesParameters, Fetched};
use crate::problem::ApiError;
use crate::receipts;
use crate::respond::{done, found};
use crate::routes::mailboxes;

/// Fetches the messages that wait, in order.
///
/// Signed by the messaging key. With `Prefer: wait=N` (at most 30 seconds) an empty queue is
/// answered when a message comes, or with 204 when none came in time. Delivery is at least once
/// until the acknowledgement; the order is that of `seq`.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", security(("signature" = [])),
    params(
        FetchMessagesParameters,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for a message (RFC 7240)"),
    ),
    responses(
        (status = 200, description = "What waits", body = FetchMessagesResponse),
        (status = 204, description = "Nothing came while waiting"),
    )
)]
pub(crate) async fn fetch_messages(
    state: State,
    request: HttpRequest,
    query: Query<OwnMailbox, FetchMessagesParameters>,
) -> Result<HttpResponse, ApiError> {
    note_fetch(&state, &query.subject.0);
    let wait = fetch::preferred_wait(&request);
    let mut answer = match fetch::fetch(&state, query.subject.0, &query.parameters, wait).await? {
        Fetched::Page(page) => found(page),
        Fetched::NothingCame => HttpResponse::NoContent().finish(),
    };
    if let Some(wait) = wait {
        fetch::say_applied(&mut answer, wait);
    }
    Ok(answer)
}

/// The phone is awake: it need not count as woken any longer.
fn note_fetch(state: &State, mailbox: &MessagingKey) {
    if state.read_model.wakes().is_empty() {
        return;
    }
    let owner = state.read_model.client_directory().owner(mailbox);
    if let Some(client) = owner {
        state.read_model.wakes().fetched(&client, state.clock.now());
    }
}

/// Says what became of messages: stored, set aside, or done with.
///
/// Signed by the messaging key. Stored messages are forgotten by the server: acknowledge only what
/// the app has on its own disk. A repeat is harmless. The answer has a receipt: what was let go, and
/// when, signed by the server.
#[utoipa::path(
    post, path = "/v1/messages/ack", tag = "messages", security(("signature" = [])),
    request_body = AcknowledgeMessagesRequest,
    responses((status = 200, description = "It is recorded", body = AcknowledgeMessagesResponse))
)]
pub(crate) async fn acknowledge_messages(
    state: State,
    command: Command<OwnMailbox, Json<AcknowledgeMessagesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let (handler, context) = (&state.handler, command.context);
    let mailbox = command.subject.0;
    let scope = DeletionScope::of(&command.body.0);
    let acknowledgement = match command.body.0 {
        AcknowledgeMessagesRequest::Park(body) => {
            let messages = body.park.iter().map(parked).collect::<Result<_, _>>()?;
            let position = park::park_messages(handler, context, mailbox, messages).await?;
            return Ok(done(StatusCode::OK, position).json(AcknowledgeMessagesResponse::default()));
        }
        AcknowledgeMessagesRequest::Through(body) => Acknowledgement::Through {
            seq: body.through,
            chain: body.chain.parse().map_err(ApiError::malformed)?,
        },
        AcknowledgeMessagesRequest::Parked(body) => {
            let ids = body.parked.iter().map(|id| message_id(id));
            Acknowledgement::Parked(ids.collect::<Result<_, _>>()?)
        }
    };
    let ended =
        acknowledge::acknowledge_messages(handler, context, mailbox, acknowledgement).await?;
    let signer = state.receipt_signer.as_ref();
    let answer = receipts::acknowledged(signer, &mailbox, scope.as_ref(), ended.deleted, ended.at);
    Ok(done(StatusCode::OK, ended.position).json(answer))
}

fn message_id(text: &str) -> Result<MessageId, ApiError> {
    text.parse()
        .map_err(|error| ApiError::malformed(format_args!("a message id has {error}")))
}

fn parked(message: &ParkedMessage) -> Result<(MessageId, ParkReason), ApiError> {
    let reason = match message.reason.as_str() {
        "decrypt" => ParkReason::Decrypt,
        "format" => ParkReason::Format,
        "other" => ParkReason::Other,
        _ => return Err(ApiError::malformed("a reason is decrypt, format or other")),
    };
    Ok((message_id(&message.id)?, reason))
}

/// Tells a recipient about its own queue.
///
/// Signed by the messaging key.
#[utoipa::path(
    get, path = "/v1/queue", tag = "messages", security(("signature" = [])),
    responses((status = 200, description = "Depth, bytes, age and bounds", body = QueueResponse))
)]
pub(crate) async fn get_queue(
    state: State,
    query: Query<OwnMailbox>,
) -> Result<HttpResponse, ApiError> {
    let queues = state.read_model.mailbox_queue();
    let summary = queues
        .summary(&query.subject.0)
        .ok_or_else(|| ApiError::new(ProblemCode::NotRegistered))?;
    Ok(found(QueueResponse {
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
    }))
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
