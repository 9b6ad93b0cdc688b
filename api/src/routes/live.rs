//! A recipient that listens: its mailbox as a stream of events or a WebSocket.

use actix_web::{HttpRequest, HttpResponse, web};
use satpost_api_types::live::LiveDelivery;
use serde::Deserialize;

use crate::event_source;
use crate::extract::{OwnMailbox, Query, State, Upgrade};
use crate::live::socket;
use crate::live::stream::MessageFeed;
use crate::problem::ApiError;

/// `after`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamMessagesParameters {
    /// Taken as in a fetch, and not needed: the stream begins after the last acknowledged message.
    #[param(value_type = Option<u64>, format = "uint64")]
    #[expect(
        dead_code,
        reason = "a number or nothing; only the acknowledged place counts"
    )]
    after: Option<u64>,
}

/// Tells the messages of a mailbox as they come.
///
/// Server-Sent Events, signed by the messaging key when the stream begins. It begins after the last
/// acknowledged message, whatever `Last-Event-ID` or `after` say: only an acknowledgement moves the
/// place. `event` is `message` or `gone` (with `id`, the seq, and a delivery with its signed head as
/// `data`), `empty` (everything was told), `superseded` (a newer stream or socket of the mailbox took
/// over) or `closing` (with the reason; the server ends the stream).
#[utoipa::path(
    get, path = "/v1/messages/stream", tag = "messages", security(("signature" = [])),
    params(
        StreamMessagesParameters,
        ("Last-Event-ID" = Option<u64>, Header, description = "What a client that comes back sends by itself; not needed"),
    ),
    responses((status = 200, description = "Events until either side ends it", body = LiveDelivery, content_type = "text/event-stream"))
)]
pub(crate) async fn stream_messages(
    state: State,
    request: HttpRequest,
    query: Query<OwnMailbox, StreamMessagesParameters>,
) -> Result<HttpResponse, ApiError> {
    let last = event_source::last_event_id(&request)?;
    if last.is_some_and(|id| id.parse::<u64>().is_err()) {
        return Err(ApiError::malformed("an id of this stream is a number"));
    }
    // The line of a server that still reads its history has messages that ended long ago.
    if !state.read_model.is_live() {
        return Err(ApiError::behind());
    }
    let feed = MessageFeed::open(&state, query.subject.0)?;
    Ok(event_source::answer(feed))
}

/// Opens a WebSocket that tells the messages of a mailbox and takes acknowledgements.
///
/// The request is signed by the messaging key like any query. The subprotocol is `satpost.v1+json`
/// (text messages) or `satpost.v1+cbor` (binary messages); the frames are `ServerFrame` and
/// `ClientFrame`. It begins after the last acknowledged message and tells nothing without credit, at
/// most 256 deliveries ahead of the acknowledgement. A newer stream or socket of the mailbox takes
/// over.
#[utoipa::path(
    get, path = "/v1/ws", tag = "messages", security(("signature" = [])),
    params(
        ("Sec-WebSocket-Protocol" = String, Header, description = "`satpost.v1+json` or `satpost.v1+cbor`"),
    ),
    responses((status = 101, description = "The connection is a WebSocket"))
)]
pub(crate) async fn open_socket(
    state: State,
    request: HttpRequest,
    reader: Upgrade<OwnMailbox>,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    if !state.read_model.is_live() {
        return Err(ApiError::behind());
    }
    socket::open(&state, reader.subject.0, &request, body)
}
