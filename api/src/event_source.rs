//! Server-Sent Events (WHATWG HTML, section 9.2): how a stream begins, goes on and is answered. What it
//! tells is the business of a [`Feed`].
//!
//! A stream is written only as fast as its reader reads: a feed is asked for more when the connection
//! has room, so that a slow reader costs one look of memory and no more.

use std::convert::Infallible;
use std::fmt::{Display, Write as _};

use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{Stream, stream};
use satpost_domain::limits::EVENT_RETRY;
use serde::Serialize;
use tokio::time::Instant;

use crate::extract::single_header;
use crate::problem::ApiError;
use crate::state::ApiState;

/// A comment, which readers skip.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// Where a client that comes back says which event it saw last.
const LAST_EVENT_ID: &str = "last-event-id";

/// What a stream tells.
pub(crate) trait Feed: 'static {
    /// The server it belongs to.
    fn state(&self) -> &ApiState;

    /// What comes next. Waits for it, and gives a [`HEARTBEAT`] when nothing has come for too long.
    async fn next(&mut self) -> Told;

    /// The last words for a reader that has taken nothing for too long.
    fn give_up(&self) -> Bytes;
}

/// A part of a stream.
pub(crate) enum Told {
    /// More follows.
    Some(Bytes),
    /// Nothing follows.
    Last(Bytes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begins,
    Runs,
    Over,
}

/// A feed on its way to a reader.
struct Reading<F> {
    feed: F,
    /// When something was last handed over, which is answered at once by a reader that keeps up.
    handed_over: Instant,
    stage: Stage,
}

impl<F: Feed> Reading<F> {
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
        let state = self.feed.state();
        let told = if self.handed_over.elapsed() > state.config.reader_stall_max {
            state.metrics.reader_dropped();
            Told::Last(self.feed.give_up())
        } else {
            self.feed.next().await
        };
        match told {
            Told::Some(bytes) => bytes,
            Told::Last(bytes) => {
                self.stage = Stage::Over;
                bytes
            }
        }
    }
}

/// The bytes of the stream, made when the connection has room for them.
pub(crate) fn into_stream<F: Feed>(feed: F) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let reading = Reading {
        feed,
        handed_over: Instant::now(),
        stage: Stage::Begins,
    };
    stream::unfold(reading, |mut reading| async move {
        let bytes = reading.next().await?;
        reading.handed_over = Instant::now();
        Some((Ok(bytes), reading))
    })
}

/// The answer that is the stream.
pub(crate) fn answer(feed: impl Feed) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        // Proxies that gather answers would hold events back.
        .insert_header((
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ))
        .streaming(into_stream(feed))
}

/// The id of the last event that the client saw, if it says so.
///
/// # Errors
/// `malformed` when the header stands there twice or is no text.
pub(crate) fn last_event_id(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    Ok(single_header(request, LAST_EVENT_ID)?.filter(|id| !id.is_empty()))
}

/// One event. JSON as it is written here has no line breaks.
pub(crate) fn event(id: Option<&dyn Display>, name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).expect("events are text and numbers");
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

    #[test]
    fn an_event_has_a_name_and_one_line_of_data_and_an_id_where_it_is_given() {
        assert_eq!(event(None, "closing", &7), "event: closing\ndata: 7\n\n");
        assert_eq!(
            event(Some(&7), "gone", &"a\nb"),
            "id: 7\nevent: gone\ndata: \"a\\nb\"\n\n"
        );
    }
}
