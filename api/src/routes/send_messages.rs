//! Putting several messages into mailboxes with one request. They are carried out at the same time, so
//! that the log takes them together.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use satpost_api_types::batch::{
    BatchMessage, SendMessageResult, SendMessagesRequest, SendMessagesResponse,
};
use satpost_domain::limits::MESSAGE_BYTES_MAX;

use crate::delivery::{self, Delivered, Item, check_unnamed};
use crate::extract::{Batch, Sender, Sending, State, parse_idempotency_key};
use crate::observe::{log_part, request_id_of};
use crate::problem::{ApiError, problem_in_batch};
use crate::respond::done;

/// Puts several sealed messages into mailboxes.
///
/// Signed by the sender's identity key, or not at all, like a single message. Each message is taken or
/// refused by itself, and is durable when the answer says so. A repeat is known by the
/// `idempotency_key` of the message; the one of the request says nothing about them.
#[utoipa::path(
    post, path = "/v1/messages:batch", tag = "messages", security((), ("signature" = [])),
    request_body = SendMessagesRequest,
    responses((status = 200, description = "What became of each message, in their order", body = SendMessagesResponse))
)]
pub(crate) async fn send_messages(
    state: State,
    request: HttpRequest,
    sending: Sending<Batch>,
) -> Result<HttpResponse, ApiError> {
    let Batch(batch) = sending.body;
    let sends = batch
        .messages
        .iter()
        .enumerate()
        .map(|(place, message)| send(&state, sending.sender, place, message));
    let answers = join_all(sends).await;
    let seen = answers.iter().flatten().map(|delivered| delivered.position);
    let mut answer = match seen.max() {
        Some(position) => done(StatusCode::OK, position),
        None => HttpResponse::Ok(),
    };
    let id = request_id_of(&request);
    let results = answers
        .into_iter()
        .map(|answer| result(answer, &id))
        .collect();
    Ok(answer.json(SendMessagesResponse { results }))
}

async fn send(
    state: &State,
    sender: Sender,
    place: usize,
    message: &BatchMessage,
) -> Result<Delivered, ApiError> {
    let item = item(message)?;
    // The signature of the request counted for the first message.
    match sender {
        Sender::Registered(client) if place > 0 => {
            state.rate_limiters.check_key(client.as_bytes())?;
        }
        Sender::Registered(_) | Sender::Unnamed(_) => check_unnamed(state, sender, &item)?,
    }
    delivery::deliver(state, sender, &item).await
}

fn item(message: &BatchMessage) -> Result<Item, ApiError> {
    let body = STANDARD
        .decode(&message.body)
        .map_err(|_| ApiError::malformed("a body is base64 with padding"))?;
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(ApiError::too_large(MESSAGE_BYTES_MAX));
    }
    let token = message.delivery_token.as_deref();
    let work = message.proof_of_work.as_deref().map(str::parse);
    Ok(Item {
        recipient: message.recipient.parse()?,
        body: body.into(),
        ttl: message.ttl.map(Duration::from_secs),
        key: parse_idempotency_key(&message.idempotency_key)?,
        token: token.map(delivery::parse_token).transpose()?,
        work: work.transpose().map_err(ApiError::malformed)?,
    })
}

fn result(answer: Result<Delivered, ApiError>, request_id: &str) -> SendMessageResult {
    match answer {
        Ok(delivered) => SendMessageResult::Message(delivered.response),
        Err(error) => {
            log_part(&error);
            SendMessageResult::Problem(problem_in_batch(&error, request_id))
        }
    }
}
