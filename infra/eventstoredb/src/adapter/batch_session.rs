//! Sessions of `BatchAppend`, the only way of the crate to append fast: a plain append waits about
//! 40 ms for a delayed acknowledgement of TCP.
//!
//! One refused append ends its whole session, with everything that waits in it. So there are
//! several sessions, each for a share of the streams; one that has failed is dropped and opened
//! anew; and what waited in it is sent again by its caller, with the same ids.

use std::sync::Arc;

use eventstore::{
    BatchAppendClient, BatchAppendOptions, BatchWriteResult, EventData, ExpectedRevision,
};
use tokio::sync::Mutex;

use super::connection::Connection;
use super::failure::Failure;

/// How many sessions there are.
const SESSIONS: usize = 16;

/// The sessions that are open.
pub(super) struct BatchSessions {
    sessions: Vec<Mutex<Option<Arc<BatchSession>>>>,
}

/// One session. Appends wait in it side by side.
pub(super) struct BatchSession {
    client: BatchAppendClient,
    /// The client it was opened on.
    pub(super) generation: u64,
}

impl BatchSessions {
    pub(super) fn new() -> Self {
        Self {
            sessions: (0..SESSIONS).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// The session for streams that hash to `hash`; opened if need be.
    pub(super) async fn get(
        &self,
        hash: usize,
        connection: &Connection,
    ) -> Result<Arc<BatchSession>, Failure> {
        let mut slot = self.sessions[hash % SESSIONS].lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let (client, generation) = connection.client()?;
        let mut options = BatchAppendOptions::default().requires_leader(true);
        if let Some(credentials) = connection.credentials() {
            options = options.authenticated(credentials);
        }
        let opened = client.batch_append(&options).await;
        let client = opened.map_err(|error| {
            let failure = Failure::from(error);
            connection.note(generation, &failure);
            failure
        })?;
        let session = Arc::new(BatchSession { client, generation });
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Drops a session that has failed, unless that was done already.
    pub(super) async fn drop_failed(&self, hash: usize, failed: &Arc<BatchSession>) {
        let mut slot = self.sessions[hash % SESSIONS].lock().await;
        if slot.as_ref().is_some_and(|open| Arc::ptr_eq(open, failed)) {
            *slot = None;
        }
    }
}

impl BatchSession {
    /// Appends; the answer may never come, so the caller needs a deadline.
    pub(super) async fn append(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<EventData>,
    ) -> eventstore::Result<BatchWriteResult> {
        self.client.append_to_stream(stream, expected, events).await
    }
}
