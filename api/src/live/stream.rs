//! Messages as Server-Sent Events.
//!
//! A stream is written only as fast as its reader reads: it looks at the line when the connection
//! has room, so that a slow reader costs one look of memory and no more.

use std::convert::Infallible;
use std::fmt::Write as _;

use actix_web::web::Data;
use bytes::Bytes;
use futures_util::{Stream, stream};
use satpost_api_types::live::{
    CLOSING, Closing, ClosingReason, EMPTY, GONE, LineEnd, LiveDelivery, MESSAGE, SUPERSEDED,
};
use satpost_domain::MessagingKey;
use satpost_domain::limits::{EVENT_HEARTBEAT, EVENT_RETRY, LIVE_MESSAGES_PER_LOOK_MAX};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::Kind;
use super::line::{Line, Look};
use super::places::Place;
use crate::metrics::GaugeGuard;
use crate::problem::ApiError;
use crate::state::ApiState;

/// A comment, which readers skip.
const HEARTBEAT: &[u8] = b":\n\n";

/// One open stream.
pub(crate) struct MessageFeed {
    line: Line,
    place: Place,
    /// When something was last handed over, which is answered at once by a reader that keeps up.
    handed_over: Instant,
    stage: Stage,
    _counted: GaugeGuard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begins,
    Runs,
    Over,
}

impl MessageFeed {
    /// Opens the stream of `mailbox` and supersedes whoever reads it live.
    ///
    /// # Errors
    /// `too-many-streams`.
    pub(crate) fn open(state: &Data<ApiState>, mailbox: MessagingKey) -> Result<Self, ApiError> {
        Ok(Self {
            place: state.live_readers.enter(mailbox)?,
            _counted: state.metrics.live_reader(Kind::Stream),
            line: Line::open(state, mailbox),
            handed_over: Instant::now(),
            stage: Stage::Begins,
        })
    }

    /// The bytes of the stream, made when the connection has room for them.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut feed| async move {
            let bytes = feed.next().await?;
            feed.handed_over = Instant::now();
            Some((Ok(bytes), feed))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Begins => {
                self.stage = Stage::Runs;
                Some(format!("retry: {}\n\n", EVENT_RETRY.as_millis()).into())
            }
            Stage::Runs => Some(self.run().await),
            Stage::Over => None,
        }
    }

    async fn run(&mut self) -> Bytes {
        let stall_max = self.line.state.config.reader_stall_max;
        if self.handed_over.elapsed() > stall_max {
            self.line.state.metrics.reader_dropped();
            return self.close(ClosingReason::Slow);
        }
        loop {
            if self.place.is_superseded() {
                self.line.state.metrics.live_reader_superseded();
                self.stage = Stage::Over;
                return Bytes::from(format!("event: {SUPERSEDED}\ndata: {{}}\n\n"));
            }
            if self.line.state.is_stopping() {
                return self.close(ClosingReason::Stopping);
            }
            match self.line.look(LIVE_MESSAGES_PER_LOOK_MAX).await {
                Ok(Look::Deliveries(deliveries)) => return self.chunk(&deliveries),
                Ok(Look::Empty(head)) => {
                    return event(None, EMPTY, &LineEnd { head }).into();
                }
                Ok(Look::Nothing) => {}
                Ok(Look::Closed) => return self.close(ClosingReason::NotRegistered),
                Err(error) => {
                    error.log("a message stream ends");
                    return self.close(ClosingReason::Failed);
                }
            }
            let state = &self.line.state.clone();
            tokio::select! {
                () = self.line.changed() => {}
                () = self.place.superseded() => {}
                () = state.stopped() => {}
                () = sleep(EVENT_HEARTBEAT) => return Bytes::from_static(HEARTBEAT),
            }
        }
    }

    fn chunk(&self, deliveries: &[LiveDelivery]) -> Bytes {
        let state = &self.line.state;
        let mut chunk = String::new();
        for delivery in deliveries {
            let name = if delivery.message.gone.is_some() {
                GONE
            } else {
                MESSAGE
            };
            chunk.push_str(&event(Some(delivery.message.seq), name, delivery));
            state.metrics.delivered(Kind::Stream);
        }
        chunk.into()
    }

    fn close(&mut self, reason: ClosingReason) -> Bytes {
        self.stage = Stage::Over;
        event(None, CLOSING, &Closing { reason }).into()
    }
}

/// One event. JSON as it is written here has no line breaks.
fn event(id: Option<u64>, name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).expect("deliveries are text and numbers");
    let mut text = String::with_capacity(data.len() + 64);
    if let Some(id) = id {
        writeln!(text, "id: {id}").expect("a string takes all text");
    }
    write!(text, "event: {name}\ndata: {data}\n\n").expect("a string takes all text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `make` returns takes so many bytes.
    fn size_of_result<A, R>(_make: impl FnOnce(A) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_stream_on_which_nothing_happens_takes_little_memory() {
        let bytes = size_of_result(MessageFeed::into_stream);
        assert!(bytes <= 2_048, "{bytes} bytes");
    }

    #[test]
    fn an_event_has_a_name_and_one_line_of_data_and_an_id_where_there_is_a_message() {
        let closing = Closing {
            reason: ClosingReason::NotRegistered,
        };
        assert_eq!(
            event(None, CLOSING, &closing),
            "event: closing\ndata: {\"reason\":\"not-registered\"}\n\n"
        );
        assert_eq!(
            event(Some(7), GONE, &"a\nb"),
            "id: 7\nevent: gone\ndata: \"a\\nb\"\n\n"
        );
    }
}
