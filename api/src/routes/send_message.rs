//! Putting a message into somebody's mailbox.

use std::str::FromStr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use satpost_api_types::header::{DELIVERY_TOKEN, PROOF_OF_WORK, TTL};
use satpost_api_types::messages::SendMessageResponse;
use satpost_domain::MessagingKey;
use satpost_domain::ids::TokenHash;
use satpost_domain::mailbox::WorkProof;

use crate::delivery::{self, Item, check_unnamed};
use crate::extract::{Octets, Sending, State, single_header};
use crate::problem::ApiError;
use crate::respond::{done, replayed};

/// Where a message goes, how long it may wait, and what its sender shows.
pub(crate) struct Postage {
    recipient: MessagingKey,
    ttl: Option<Duration>,
    token: Option<TokenHash>,
    work: Option<WorkProof>,
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
        let token = single_header(request, DELIVERY_TOKEN)?.map(delivery::parse_token);
        let work = single_header(request, PROOF_OF_WORK)?.map(WorkProof::from_str);
        Ok(Self {
            recipient,
            ttl: ttl.transpose()?.map(Duration::from_secs),
            token: token.transpose()?,
            work: work.transpose().map_err(ApiError::malformed)?,
        })
    }
}

/// Puts a sealed message into a mailbox.
///
/// Signed by the sender's identity key, which must be registered and is not kept, or not signed at all:
/// then the server does not learn who sends. Contacts show a delivery token of the recipient. Where
/// strangers may knock they show work: `SHA-256(challenge ‖ nonce)` with `knock_work_bits` (see
/// `/v1/info`) leading zero bits, where `challenge` is the tagged hash `satpost/knock-work/1` of
/// recipient, SHA-256 of the body, idempotency key and the time it was begun. The message is durable
/// when this answers. `TTL` is not covered by the request's signature: the receipt is, and says when
/// the message stops waiting. All refusals of a recipient, and of one that does not exist, are the
/// same and take the same time.
#[utoipa::path(
    post, path = "/v1/queues/{recipient}/messages", tag = "messages", security((), ("signature" = [])),
    params(
        ("recipient" = String, Path, pattern = "^[0-9a-f]{64}$", description = "The messaging key of the recipient, 64 hexadecimal characters"),
        ("TTL" = Option<u64>, Header, description = "Seconds the message may wait; 14 days when it is absent. Knocks wait 7 days"),
        ("Delivery-Token" = Option<String>, Header, pattern = "^[0-9a-f]{64}$", description = "A token that the recipient gave the sender"),
        ("Proof-Of-Work" = Option<String>, Header, pattern = "^[0-9]{1,20}:[0-9a-f]{16}$", description = "The work for this message: Unix seconds, a colon, the nonce in 16 hexadecimal characters"),
    ),
    request_body(content_type = "application/octet-stream", description = "The sealed body, padded to 512, 2048, 8192 or 16384 bytes; a knock to 512 or 2048"),
    responses((status = 201, description = "The message is durable", body = SendMessageResponse))
)]
pub(crate) async fn send_message(
    state: State,
    postage: Postage,
    sending: Sending<Octets>,
) -> Result<HttpResponse, ApiError> {
    let Octets(body) = sending.body;
    let item = Item {
        recipient: postage.recipient,
        body: body.as_ref().into(),
        ttl: postage.ttl,
        key: sending.idempotency_key,
        token: postage.token,
        work: postage.work,
    };
    check_unnamed(&state, sending.sender, &item)?;
    let delivered = delivery::deliver(&state, sending.sender, &item).await?;
    let answer = done(StatusCode::CREATED, delivered.position);
    Ok(replayed(answer, delivered.repeated).json(delivered.response))
}
