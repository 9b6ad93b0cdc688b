//! Putting a message into somebody's mailbox.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use satpost_api_types::header::TTL;
use satpost_api_types::messages::{SendMessageResponse, receipt_bytes};
use satpost_commands::send_message::{self as send, AcceptedMessage, Posting};
use satpost_domain::MessagingKey;
use satpost_domain::mailbox::Introduction;

use crate::extract::{Command, Octets, Registered, State, single_header};
use crate::problem::{ApiError, delivery_refusal};
use crate::respond::{done, replayed};

/// Where a message goes, and how long it may wait.
pub(crate) struct Postage {
    recipient: MessagingKey,
    ttl: Option<Duration>,
}

impl FromRequest for Postage {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        std::future::ready(Self::parse(request))
    }
}

impl Postage {
    fn parse(request: &HttpRequest) -> Result<Self, ApiError> {
        let recipient = request.match_info().query("recipient").parse()?;
        let ttl = single_header(request, TTL)?.map(|text| {
            text.parse()
                .map_err(|_| ApiError::malformed("TTL is a number of seconds"))
        });
        Ok(Self {
            recipient,
            ttl: ttl.transpose()?.map(Duration::from_secs),
        })
    }
}

/// Puts a sealed message into a mailbox.
///
/// Signed by the sender's identity key, which must be registered and is not kept. The message is
/// durable when this answers. `TTL` is not covered by the request's signature: the receipt is, and
/// says when the message stops waiting.
#[utoipa::path(
    post, path = "/v1/queues/{recipient}/messages", tag = "messages", security(("signature" = [])),
    params(
        ("recipient" = String, Path, pattern = "^[0-9a-f]{64}$", description = "The messaging key of the recipient, 64 hexadecimal characters"),
        ("TTL" = Option<u64>, Header, description = "Seconds the message may wait; 14 days when it is absent"),
    ),
    request_body(content_type = "application/octet-stream", description = "The sealed body, padded to 512, 2048, 8192 or 16384 bytes"),
    responses((status = 201, description = "The message is durable", body = SendMessageResponse))
)]
pub(crate) async fn send_message(
    state: State,
    postage: Postage,
    command: Command<Registered, Octets>,
) -> Result<HttpResponse, ApiError> {
    let Octets(body) = command.body;
    let Postage { recipient, ttl } = postage;
    let posting = Posting {
        recipient,
        body: body.as_ref().into(),
        ttl,
        introduction: Introduction {
            is_registered: true,
            ..Introduction::default()
        },
    };
    let accepted = send::send_message(&state.handler, command.context, &posting)
        .await
        .map_err(delivery_refusal)?;
    let answer = done(StatusCode::CREATED, accepted.position);
    Ok(replayed(answer, accepted.repeated).json(receipt(&state, &recipient, &accepted)))
}

fn receipt(
    state: &State,
    recipient: &MessagingKey,
    accepted: &AcceptedMessage,
) -> SendMessageResponse {
    let accepted_at = accepted.accepted_at.as_millis();
    let expires_at = accepted.expires_at.as_millis();
    let signed = receipt_bytes(
        recipient.as_bytes(),
        accepted.digest.as_bytes(),
        accepted_at,
        expires_at,
    );
    SendMessageResponse {
        id: accepted.id.to_string(),
        accepted_at,
        expires_at,
        receipt: hex::encode(state.receipt_signer.sign(&signed)),
    }
}
