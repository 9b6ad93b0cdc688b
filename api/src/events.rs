//! Event streams: the steps of a client's transactions as Server-Sent Events.
//!
//! A stream asks nothing while nothing happens: it is woken when an event touches what its client
//! watches. What it has not handed over yet is read again from the projection, so that a slow reader
//! costs one page of memory and no more.

use std::collections::VecDeque;

use actix_web::web::Data;
use bytes::{Bytes, BytesMut};
use satpost_api_types::transactions::TransactionChange;
use satpost_domain::limits::{EVENT_CHUNK_BYTES_MAX, EVENT_HEARTBEAT, EVENTS_PER_LOOK_MAX};
use satpost_domain::{ClientId, Position};
use satpost_projections::arrivals::Arrivals;
use tokio::time::sleep;

use crate::event_source::{self, HEARTBEAT, Told, event};
use crate::metrics::GaugeGuard;
use crate::problem::ApiError;
use crate::routes::transactions::{addresses, transaction_step};
use crate::state::ApiState;

mod places;

pub(crate) use places::EventStreams;
use places::Place;

/// One open stream.
pub(crate) struct Feed {
    state: Data<ApiState>,
    client: ClientId,
    changes: Arrivals<ClientId>,
    /// The last step that waits or was handed over.
    after: Position,
    waiting: VecDeque<String>,
    _place: Place,
    _counted: GaugeGuard,
}

/// Why the server ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    /// It stops; another one, or the same one later, goes on.
    Stopping,
    /// The client is registered no longer.
    NotRegistered,
    /// The reader is too slow.
    Slow,
}

impl Goodbye {
    const fn reason(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::NotRegistered => "not-registered",
            Self::Slow => "slow",
        }
    }

    fn said(self) -> Bytes {
        let reason = self.reason();
        format!("event: bye\ndata: {{\"reason\":\"{reason}\"}}\n\n").into()
    }
}

impl Feed {
    /// Opens the stream of what `client` has not seen after `after`.
    ///
    /// # Errors
    /// `too-many-streams`, or `unavailable` when the server has as many open as it may.
    pub(crate) fn open(
        state: &Data<ApiState>,
        client: ClientId,
        after: Position,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            _place: state.event_streams.enter(client)?,
            _counted: state.metrics.event_stream(),
            // Taken before the first look: what happens in between is not missed.
            changes: state.read_model.changes(&client),
            state: state.clone(),
            client,
            after,
            waiting: VecDeque::new(),
        })
    }

    fn is_registered(&self) -> bool {
        let clients = self.state.read_model.client_directory();
        clients.client(&self.client).is_some()
    }

    /// Takes the next steps from the projection.
    fn look(&mut self) {
        let read_model = &self.state.read_model;
        // A phone that listens gets what it was woken for. Said before looking: what happens after
        // that is a reason to wake it again.
        let now = self.state.clock.now();
        read_model.wakes().fetched(&self.client, now);
        let status = read_model.transaction_status();
        // Read while the transactions stand still: an event reaches the watch lists first, so no
        // address is missing for a step that the stream will have passed.
        let scripts = read_model.watched_scripts().hashes(&self.client);
        let changes = status.steps_since(&scripts, self.after, EVENTS_PER_LOOK_MAX);
        drop(status);
        let Some(last) = changes.last() else {
            // A stream on which little happens keeps no room for much.
            self.waiting = VecDeque::new();
            return;
        };
        self.after = last.step.position;
        let addresses = addresses(&self.state, &self.client);
        // An address that was unwatched a moment ago is told of no longer.
        let told = changes.iter().filter_map(|change| {
            let address = addresses.get(&change.script_hash)?.clone();
            Some(frame(&TransactionChange {
                txid: change.txid.to_string(),
                address,
                received_sat: change.received_sat,
                spent_sat: change.spent_sat,
                step: transaction_step(&change.step),
            }))
        });
        self.waiting = told.collect();
    }

    /// As many waiting events as fit, at least one; nothing when none waits.
    fn chunk(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        while let Some(event) = self.waiting.front()
            && (chunk.is_empty() || chunk.len() + event.len() <= EVENT_CHUNK_BYTES_MAX)
        {
            chunk.extend_from_slice(event.as_bytes());
            self.waiting.pop_front();
            self.state.metrics.event_sent();
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    }
}

impl event_source::Feed for Feed {
    fn state(&self) -> &ApiState {
        &self.state
    }

    async fn next(&mut self) -> Told {
        loop {
            if self.state.is_stopping() {
                return Told::Last(Goodbye::Stopping.said());
            }
            if !self.is_registered() {
                return Told::Last(Goodbye::NotRegistered.said());
            }
            if self.waiting.is_empty() {
                self.look();
            }
            if let Some(chunk) = self.chunk() {
                return Told::Some(chunk);
            }
            tokio::select! {
                () = self.changes.next() => {}
                () = self.state.stopped() => {}
                () = sleep(EVENT_HEARTBEAT) => return Told::Some(HEARTBEAT),
            }
        }
    }

    fn give_up(&self) -> Bytes {
        Goodbye::Slow.said()
    }
}

fn frame(change: &TransactionChange) -> String {
    let step = &change.step;
    event(Some(&step.position), step.status.event_name(), change)
}

#[cfg(test)]
mod tests {
    use satpost_api_types::transactions::{TransactionStatus, TransactionStep};

    use super::*;

    /// What `make` returns takes so many bytes.
    fn size_of_result<A, R>(_make: impl FnOnce(A) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_stream_on_which_nothing_happens_takes_little_memory() {
        let bytes = size_of_result(event_source::into_stream::<Feed>);
        assert!(bytes <= 2_048, "{bytes} bytes");
    }

    #[test]
    fn an_event_has_its_position_its_name_and_one_line_of_data() {
        let change = TransactionChange {
            txid: "aa".to_owned(),
            address: "bcrt1q".to_owned(),
            received_sat: 5,
            spent_sat: 0,
            step: TransactionStep {
                position: "7".to_owned(),
                at: 9,
                status: TransactionStatus::Evicted,
            },
        };
        let text = frame(&change);
        assert_eq!(
            text,
            "id: 7\nevent: evicted\ndata: {\"txid\":\"aa\",\"address\":\"bcrt1q\",\"received_sat\":5,\"spent_sat\":0,\"position\":\"7\",\"at\":9,\"state\":\"evicted\"}\n\n"
        );
        let data = text.lines().nth(2).unwrap().strip_prefix("data: ").unwrap();
        assert_eq!(
            serde_json::from_str::<TransactionChange>(data).unwrap(),
            change
        );
    }
}
