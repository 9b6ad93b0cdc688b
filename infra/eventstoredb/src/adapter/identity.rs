//! Which log the cluster holds: a stream of our own, with one event that has a random id in its
//! body. It is written once, by whoever comes first; everybody reads what stands there.

use bytes::Bytes;
use eventstore::{EventData, ExpectedRevision, ReadEvent, ReadStreamOptions, StreamPosition};
use satpost_commands::ports::LogError;
use satpost_event_store::LogIdentity;
use tokio::time::timeout;
use uuid::Uuid;

use super::Inner;
use super::connection::CALL_DEADLINE;
use super::failure::Failure;
use crate::wire_event::CustomMetadata;

/// The stream that is not part of the log it names.
pub(super) const STREAM: &str = "satpost-log";
const KIND: &str = "log_identified";

/// How often writing it is tried; in between it is read, so that two of us agree.
const ATTEMPTS: usize = 4;

impl Inner {
    /// Reads the identity; makes it when the cluster is new to us.
    pub(super) async fn read_or_make_identity(&self) -> Result<LogIdentity, LogError> {
        let place = self.connection.place();
        let mut last = LogError::Unavailable {
            reason: format!("{place}: it does not keep what we write"),
        };
        for _ in 0..ATTEMPTS {
            let read = self
                .connection
                .call(|client| self.read_identity(client))
                .await;
            match read {
                Ok(Some(identity)) => return Ok(identity),
                Ok(None) => {}
                Err(failure) => return Err(failure.into_error(&place)),
            }
            // Whether this one won, or another, or nobody: reading tells.
            if let Err(failure) = self.write_identity().await {
                last = failure.into_error(&place);
            }
        }
        Err(last)
    }

    async fn read_identity(
        &self,
        client: eventstore::Client,
    ) -> Result<Option<LogIdentity>, Failure> {
        let options = ReadStreamOptions::default()
            .position(StreamPosition::Start)
            .max_count(1)
            .requires_leader(true);
        let options = match self.connection.credentials() {
            Some(credentials) => options.authenticated(credentials),
            None => options,
        };
        let mut reading = client.read_stream(STREAM, &options).await?;
        loop {
            match reading.next_read_event().await {
                Ok(Some(ReadEvent::Event(resolved))) => {
                    let event = resolved.event.filter(|event| event.revision == 0);
                    let body = event.and_then(|event| event.data.as_ref().try_into().ok());
                    let lost = || Failure::Untrusted(format!("the stream {STREAM} was changed"));
                    return body.map(|id| Some(LogIdentity(id))).ok_or_else(lost);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(eventstore::Error::ResourceNotFound) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a name drawn once in the life of a cluster; nothing is decided by it"
    )]
    async fn write_identity(&self) -> Result<(), Failure> {
        let custom = CustomMetadata {
            schema: 1,
            payload: None,
            erases: Vec::new(),
            metadata: Vec::new(),
        };
        let body = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
        let event = EventData::binary(KIND, body)
            .id(Uuid::new_v4())
            .metadata(custom.encode().into());
        let session = self.sessions.get(0, &self.connection).await?;
        let writing = session.append(STREAM, ExpectedRevision::NoStream, vec![event]);
        let failure = match timeout(CALL_DEADLINE, writing).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.into(),
            Err(_) => Failure::passing("no answer came in time"),
        };
        self.sessions.drop_failed(0, &session).await;
        self.connection.note(session.generation, &failure);
        Err(failure)
    }
}
