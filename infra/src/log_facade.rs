//! The log over the protocol of EventStoreDB: where it listens, and what our events mean there.

use std::sync::Arc;

use anyhow::Context as _;
use satpost_domain::Timestamp;
use satpost_event_store::{EventStore, NewStoredEvent, RecordedEvent};
use satpost_eventstoredb::facade::{self, FacadeOptions, Meaning};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::stored_event;
use crate::system::SystemClock;

/// What the bytes in the log mean: events of the domain.
#[derive(Debug, Clone, Copy)]
pub struct StoredEventMeaning;

impl Meaning for StoredEventMeaning {
    fn to_json(&self, event: &RecordedEvent) -> Option<serde_json::Value> {
        stored_event::to_json(&event.kind, event.schema, &event.body).ok()
    }

    fn recorded_at(&self, event: &RecordedEvent) -> Option<Timestamp> {
        let metadata = stored_event::decode_metadata(&event.metadata).ok()?;
        Some(metadata.recorded_at)
    }

    /// An event that this server cannot read would stop its projections for good.
    fn admit(&self, event: &NewStoredEvent) -> Result<(), String> {
        stored_event::decode(&event.kind, event.schema, &event.body, None)
            .and_then(|_| stored_event::decode_metadata(&event.metadata))
            .map_err(|error| format!("this log takes events of Satpost only: {error}"))?;
        Ok(())
    }
}

/// Serves `store` where the configuration says, if it does.
pub(crate) fn start(
    config: &Config,
    store: Arc<dyn EventStore>,
    background: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(address) = config.eventstoredb.listen else {
        return Ok(());
    };
    let listener = std::net::TcpListener::bind(address)
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        })
        .with_context(|| format!("cannot listen on {address} (eventstoredb.listen)"))?;
    let options = FacadeOptions {
        append: config.eventstoredb.append,
        meaning: Arc::new(StoredEventMeaning),
        clock: Some(Arc::new(SystemClock)),
        ..FacadeOptions::default()
    };
    let serving = facade::serve(listener, store, options, stop.clone());
    background.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(error = %error, "the log is not served over the protocol of EventStoreDB any more");
        }
    });
    Ok(())
}
