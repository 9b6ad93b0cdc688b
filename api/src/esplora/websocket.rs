//! The part of mempool.space's WebSocket that wallets use: new blocks, and the transactions of
//! addresses. Whatever wakes a connection, it asks for what is so now and tells the difference to
//! what it told before, so that nothing is lost when changes come faster than they can be told.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, CloseCode, CloseReason, MessageStream, Session};
use futures_util::StreamExt as _;
use satpost_domain::limits::{ESPLORA_WEBSOCKET_MESSAGE_BYTES_MAX, ESPLORA_WEBSOCKET_SILENCE_MAX};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::answer::respond;
use super::call::state;
use super::error::EsploraError;
use super::ports::QueryError;
use super::state::EsploraState;

mod subscriptions;
mod tracked;

use subscriptions::Subscriptions;

/// How often a silent client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Turns a request into a WebSocket.
pub(super) async fn open(request: HttpRequest, body: web::Payload) -> HttpResponse {
    let state = state(&request);
    let refuse = |error: EsploraError| respond(Err(error), false, request.headers(), None);
    let Ok(permit) = Arc::clone(&state.websockets).try_acquire_owned() else {
        let busy = QueryError::NodeBusy("too many WebSockets are open".to_owned());
        return refuse(busy.into());
    };
    match actix_ws::handle(&request, body) {
        Ok((response, session, messages)) => {
            actix_web::rt::spawn(serve(state, session, messages, permit));
            response
        }
        Err(error) => refuse(EsploraError::bad(error.to_string())),
    }
}

/// The other side is gone.
struct Gone;

impl From<actix_ws::Closed> for Gone {
    fn from(_: actix_ws::Closed) -> Self {
        Self
    }
}

/// Serves one connection until either side ends it. The permit is its room.
async fn serve(
    state: Arc<EsploraState>,
    mut session: Session,
    messages: MessageStream,
    permit: OwnedSemaphorePermit,
) {
    let reason = talk(&state, &mut session, messages).await;
    if let Ok(reason) = reason {
        // Whoever is gone needs no goodbye.
        drop(session.close(reason).await);
    }
    drop(permit);
}

async fn talk(
    state: &EsploraState,
    session: &mut Session,
    messages: MessageStream,
) -> Result<Option<CloseReason>, Gone> {
    let mut messages = messages
        .max_frame_size(ESPLORA_WEBSOCKET_MESSAGE_BYTES_MAX)
        .aggregate_continuations()
        .max_continuation_size(ESPLORA_WEBSOCKET_MESSAGE_BYTES_MAX);
    let mut subscriptions = Subscriptions::new(state);
    let mut changes = state.chain.changes();
    let mut stopping = state.stopping();
    let mut pings = tokio::time::interval(PING_EVERY);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            message = messages.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(AggregatedMessage::Text(text))) => {
                        tell(session, subscriptions.hear(&text).await).await?;
                    }
                    Some(Ok(AggregatedMessage::Ping(bytes))) => session.pong(&bytes).await?,
                    Some(Ok(AggregatedMessage::Pong(_))) => {}
                    Some(Ok(AggregatedMessage::Binary(_)) | Err(_)) => {
                        return Ok(Some(CloseCode::Unsupported.into()));
                    }
                    Some(Ok(AggregatedMessage::Close(reason))) => return Ok(reason),
                    None => return Err(Gone),
                }
            }
            changed = changes.changed(), if subscriptions.any() => {
                if changed.is_err() {
                    return Ok(Some(CloseCode::Away.into()));
                }
                tell(session, subscriptions.differences().await).await?;
            }
            _ = pings.tick() => {
                if heard.elapsed() > ESPLORA_WEBSOCKET_SILENCE_MAX {
                    return Ok(Some(CloseCode::Normal.into()));
                }
                session.ping(b"").await?;
            }
            _ = stopping.wait_for(|stopping| *stopping) => {
                return Ok(Some(CloseCode::Away.into()));
            }
        }
    }
}

async fn tell(session: &mut Session, members: serde_json::Map<String, Value>) -> Result<(), Gone> {
    if !members.is_empty() {
        session.text(json!(members).to_string()).await?;
    }
    Ok(())
}
