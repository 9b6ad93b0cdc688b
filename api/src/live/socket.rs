//! Messages over a WebSocket (RFC 6455), with acknowledgements on the way back.
//!
//! One task serves one socket. It tells nothing without credit, carries out one command at a time,
//! and reads on only when it has answered, so that neither side can make the other keep much.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, CloseReason, MessageStream, ProtocolError, Session};
use futures_util::StreamExt as _;
use satpost_api_types::live::{
    CBOR_PROTOCOL, ClientFrame, ClosingReason, JSON_PROTOCOL, LineEnd, ServerFrame,
};
use satpost_domain::MessagingKey;
use satpost_domain::limits::{
    LIVE_MESSAGES_PER_LOOK_MAX, SOCKET_CREDIT_MAX, SOCKET_GOODBYE_MAX, SOCKET_MESSAGE_BYTES_MAX,
};
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::Kind;
use super::line::{Line, Look};
use super::places::Place;
use crate::form::Form;
use crate::metrics::GaugeGuard;
use crate::problem::ApiError;
use crate::state::ApiState;

mod command;
mod ending;
mod window;

use ending::Ending;
use window::Window;

/// One open socket.
struct Socket {
    session: Session,
    form: Form,
    line: Line,
    place: Place,
    window: Window,
    /// When the client last said anything, a pong included.
    heard: Instant,
    _counted: GaugeGuard,
}

/// Turns a request into the socket of `mailbox` and supersedes whoever reads it live.
///
/// # Errors
/// `upgrade-required` when it is no WebSocket request with one of our subprotocols,
/// `too-many-streams`.
pub(crate) fn open(
    state: &Data<ApiState>,
    mailbox: MessagingKey,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let protocols = [JSON_PROTOCOL, CBOR_PROTOCOL];
    let (response, session, messages) = actix_ws::handle_with_protocols(request, body, &protocols)
        .map_err(ApiError::upgrade_required)?;
    let form = form_of(&response)?;
    let socket = Socket {
        place: state.live_readers.enter(mailbox)?,
        _counted: state.metrics.live_reader(Kind::Socket),
        line: Line::open(state, mailbox),
        session,
        form,
        window: Window::default(),
        heard: Instant::now(),
    };
    actix_web::rt::spawn(socket.serve(messages));
    Ok(response)
}

/// The form of the subprotocol that was agreed on.
fn form_of(response: &HttpResponse) -> Result<Form, ApiError> {
    let agreed = response.headers().get("sec-websocket-protocol");
    match agreed.map(actix_web::http::header::HeaderValue::as_bytes) {
        Some(name) if name == JSON_PROTOCOL.as_bytes() => Ok(Form::Json),
        Some(name) if name == CBOR_PROTOCOL.as_bytes() => Ok(Form::Cbor),
        Some(_) | None => Err(ApiError::upgrade_required(format_args!(
            "offer the subprotocol {JSON_PROTOCOL} or {CBOR_PROTOCOL}"
        ))),
    }
}

impl Socket {
    async fn serve(mut self, messages: MessageStream) {
        let mut messages = messages
            .max_frame_size(SOCKET_MESSAGE_BYTES_MAX)
            .aggregate_continuations()
            .max_continuation_size(SOCKET_MESSAGE_BYTES_MAX);
        let ending = match self.talk(&mut messages).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        if matches!(ending, Ending::Superseded) {
            self.line.state.metrics.live_reader_superseded();
        }
        let goodbye = ending.say(self.session, self.form, messages);
        // Whoever does not take the last words is left alone.
        timeout(SOCKET_GOODBYE_MAX, goodbye).await.ok();
    }

    async fn talk(
        &mut self,
        messages: &mut actix_ws::AggregatedMessageStream,
    ) -> Result<std::convert::Infallible, Ending> {
        let state = self.line.state.clone();
        let head = self.line.begin().await.map_err(|error| failed(&error))?;
        let head = head.ok_or(Ending::Closing(ClosingReason::NotRegistered))?;
        let credit_max = SOCKET_CREDIT_MAX as u64;
        self.tell(&ServerFrame::Hello { head, credit_max }).await?;
        let ping: Duration = state.config.live.socket_ping;
        let mut pings = interval_at(Instant::now() + ping, ping);
        let mut may_have_more = true;
        loop {
            tokio::select! {
                biased;
                () = self.place.superseded() => return Err(Ending::Superseded),
                () = state.stopped() => return Err(Ending::Closing(ClosingReason::Stopping)),
                message = messages.next() => {
                    self.heard = Instant::now();
                    self.hear(message).await?;
                    may_have_more = true;
                }
                () = std::future::ready(()), if may_have_more => {
                    may_have_more = self.deliver().await?;
                }
                () = self.line.changed() => may_have_more = true,
                _ = pings.tick() => {
                    if self.heard.elapsed() > state.config.live.socket_silence_max {
                        return Err(Ending::Closing(ClosingReason::Silent));
                    }
                    self.session.ping(b"").await.map_err(|_| Ending::Gone)?;
                }
            }
        }
    }

    /// Tells what comes next, as far as there is room; true when there may be more.
    async fn deliver(&mut self) -> Result<bool, Ending> {
        if let Some(seq) = self.line.acknowledged() {
            self.window.acknowledged(seq);
        }
        let room = self.window.room().min(LIVE_MESSAGES_PER_LOOK_MAX);
        match self.line.look(room).await {
            Ok(Look::Deliveries(deliveries)) => {
                for delivery in deliveries {
                    self.window.told(delivery.message.seq);
                    let frame = if delivery.message.gone.is_some() {
                        ServerFrame::Gone(delivery)
                    } else {
                        ServerFrame::Message(delivery)
                    };
                    self.tell(&frame).await?;
                    self.line.state.metrics.delivered(Kind::Socket);
                }
                Ok(true)
            }
            Ok(Look::Empty(head)) => {
                self.tell(&ServerFrame::Empty(LineEnd { head })).await?;
                Ok(false)
            }
            Ok(Look::Nothing) => Ok(false),
            Ok(Look::Closed) => Err(Ending::Closing(ClosingReason::NotRegistered)),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn hear(
        &mut self,
        message: Option<Result<AggregatedMessage, ProtocolError>>,
    ) -> Result<(), Ending> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(Ending::of_protocol(&error)),
            None => return Err(Ending::Gone),
        };
        match (message, self.form) {
            (AggregatedMessage::Text(text), Form::Json) => self.take(text.as_bytes()).await,
            (AggregatedMessage::Binary(bytes), Form::Cbor) => self.take(&bytes).await,
            (AggregatedMessage::Text(_), Form::Cbor) => Err(Ending::wrong_kind("binary")),
            (AggregatedMessage::Binary(_), Form::Json) => Err(Ending::wrong_kind("text")),
            (AggregatedMessage::Ping(bytes), _) => {
                self.session.pong(&bytes).await.map_err(|_| Ending::Gone)
            }
            (AggregatedMessage::Pong(_), _) => Ok(()),
            (AggregatedMessage::Close(reason), _) => Err(Ending::Closed(reason)),
        }
    }

    /// Takes a frame. What cannot be read ends the socket, what is refused does not.
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let frame = self.form.read(bytes);
        let frame: ClientFrame = frame.map_err(|error| Ending::unreadable(&error))?;
        let answer = match command::of(frame) {
            Ok(command) => {
                let answer = command.carry_out(&self.line.state, self.line.mailbox).await;
                if let ServerFrame::Acknowledged {
                    through: Some(seq), ..
                } = answer
                {
                    self.window.acknowledged(seq);
                }
                answer
            }
            Err(credit) => match self.window.give(credit) {
                Ok(()) => return Ok(()),
                Err(error) => command::refused(None, &error),
            },
        };
        self.tell(&answer).await
    }

    /// Sends a frame, unless the client takes nothing for too long or something else ends the socket
    /// meanwhile.
    async fn tell(&mut self, frame: &ServerFrame) -> Result<(), Ending> {
        let state = &self.line.state;
        tokio::select! {
            biased;
            sent = send(&mut self.session, self.form, frame) => sent.map_err(|_| Ending::Gone),
            () = self.place.superseded() => Err(Ending::Superseded),
            () = state.stopped() => Err(Ending::Closing(ClosingReason::Stopping)),
            () = sleep(state.config.reader_stall_max) => {
                state.metrics.reader_dropped();
                Err(Ending::Gone)
            }
        }
    }
}

/// The log or a body cannot be read.
fn failed(error: &ApiError) -> Ending {
    error.log("a message socket ends");
    Ending::Closing(ClosingReason::Failed)
}

async fn send(
    session: &mut Session,
    form: Form,
    frame: &ServerFrame,
) -> Result<(), actix_ws::Closed> {
    let bytes = form.write(frame);
    match form {
        Form::Json => {
            let text = String::from_utf8(bytes).expect("JSON is UTF-8");
            session.text(text).await
        }
        Form::Cbor => session.binary(bytes).await,
    }
}

/// The reason of a close frame.
fn reason(code: actix_ws::CloseCode, text: &str) -> CloseReason {
    CloseReason {
        code,
        description: Some(text.to_owned()),
    }
}
