//! Messages as Server-Sent Events.

use actix_web::web::Data;
use bytes::Bytes;
use satpost_api_types::live::{
    CLOSING, Closing, ClosingReason, EMPTY, GONE, LineEnd, LiveDelivery, MESSAGE, SUPERSEDED,
};
use satpost_domain::MessagingKey;
use satpost_domain::limits::{EVENT_HEARTBEAT, LIVE_MESSAGES_PER_LOOK_MAX};
use tokio::time::sleep;

use super::Kind;
use super::line::{Line, Look};
use super::places::Place;
use crate::event_source::{Feed, HEARTBEAT, Told, event};
use crate::metrics::GaugeGuard;
use crate::problem::ApiError;
use crate::state::ApiState;

/// One open stream.
pub(crate) struct MessageFeed {
    line: Line,
    place: Place,
    _counted: GaugeGuard,
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
        })
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
            chunk.push_str(&event(Some(&delivery.message.seq), name, delivery));
            state.metrics.delivered(Kind::Stream);
        }
        chunk.into()
    }
}

impl Feed for MessageFeed {
    fn state(&self) -> &ApiState {
        &self.line.state
    }

    async fn next(&mut self) -> Told {
        loop {
            if self.place.is_superseded() {
                self.line.state.metrics.live_reader_superseded();
                return Told::Last(format!("event: {SUPERSEDED}\ndata: {{}}\n\n").into());
            }
            if self.line.state.is_stopping() {
                return Told::Last(closing(ClosingReason::Stopping));
            }
            match self.line.look(LIVE_MESSAGES_PER_LOOK_MAX).await {
                Ok(Look::Deliveries(deliveries)) => return Told::Some(self.chunk(&deliveries)),
                Ok(Look::Empty(head)) => {
                    return Told::Some(event(None, EMPTY, &LineEnd { head }).into());
                }
                Ok(Look::Nothing) => {}
                Ok(Look::Closed) => return Told::Last(closing(ClosingReason::NotRegistered)),
                Err(error) => {
                    error.log("a message stream ends");
                    return Told::Last(closing(ClosingReason::Failed));
                }
            }
            let state = &self.line.state.clone();
            tokio::select! {
                () = self.line.changed() => {}
                () = self.place.superseded() => {}
                () = state.stopped() => {}
                () = sleep(EVENT_HEARTBEAT) => return Told::Some(HEARTBEAT),
            }
        }
    }

    fn give_up(&self) -> Bytes {
        closing(ClosingReason::Slow)
    }
}

fn closing(reason: ClosingReason) -> Bytes {
    event(None, CLOSING, &Closing { reason }).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_source::into_stream;

    /// What `make` returns takes so many bytes.
    fn size_of_result<A, R>(_make: impl FnOnce(A) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_stream_on_which_nothing_happens_takes_little_memory() {
        let bytes = size_of_result(into_stream::<MessageFeed>);
        assert!(bytes <= 2_048, "{bytes} bytes");
    }

    #[test]
    fn the_last_event_says_why() {
        assert_eq!(
            closing(ClosingReason::NotRegistered),
            "event: closing\ndata: {\"reason\":\"not-registered\"}\n\n"
        );
    }
}
