//! One append: look where the stream is, store the payloads, send, and when the answer does not
//! come, find out by reading what happened.

use std::time::Duration;

use eventstore::{BatchWriteResult, ExpectedRevision};
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{EventId, PayloadId, Revision, StreamId, limits};
use satpost_event_store::{NewStoredEvent, check_bounds};
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use super::Inner;
use super::connection::Backoff;
use super::convert::{self, Prepared};
use super::failure::Failure;
use super::payloads_in_line::{Staged, Ticket};
use super::reads::{From, place_of};
use super::stream_ends::{End, Place, Unsettled};

/// How long an append is tried before its outcome is called unknown.
const APPEND_DEADLINE: Duration = Duration::from_secs(15);
/// How long one answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// What a look at the stream told.
enum Looked {
    /// It is where the append expects it.
    Expected(End),
    /// The append was carried out before.
    Done(Appended),
    /// It is elsewhere.
    Elsewhere(End),
}

/// What became of an append that was sent.
enum Sent {
    Appended(Appended),
    /// Nothing was appended.
    Not(LogError),
    /// Nobody knows.
    Unknown(String),
}

impl Inner {
    pub(super) async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<NewStoredEvent>,
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        check_bounds(&events, &erase, limits::APPEND_BYTES_MAX)?;
        self.ready().await?;
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let mut place = self.ends.hold(stream).await;
        self.settle_earlier(&mut place, stream).await?;
        let end = match place.end(stream).filter(|end| end.is(expected)) {
            Some(end) => end,
            None => match self.look(stream, expected, &ids).await? {
                Looked::Expected(end) => end,
                Looked::Done(appended) => return Ok(appended),
                Looked::Elsewhere(end) => {
                    place.remember(stream, end);
                    return Err(conflict(end));
                }
            },
        };
        if events.is_empty() {
            return self.erase_only(end, erase).await;
        }
        self.append_expected(&mut place, stream, expected, &events, erase)
            .await
    }

    async fn erase_only(&self, end: End, erase: Vec<PayloadId>) -> Result<Appended, LogError> {
        match end {
            End::Absent => Err(conflict(end)),
            End::At(last) => self.payloads.erase(erase).await.map(|()| last),
        }
    }

    /// Sends an append to a stream that is where it is expected.
    async fn append_expected(
        &self,
        place: &mut Place,
        stream: &StreamId,
        expected: Expected,
        events: &[NewStoredEvent],
        erase: Vec<PayloadId>,
    ) -> Result<Appended, LogError> {
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let (ticket, staged) = match place.take_same(stream, expected, &ids) {
            Some(earlier) => (earlier.ticket, earlier.staged),
            None => self.stage(events).await?,
        };
        place.forget(stream);
        let prepared = convert::prepare(events, &erase);
        match self.send(stream, expected, &prepared, &ids).await {
            Sent::Appended(appended) => {
                place.remember(stream, End::At(appended));
                self.payloads.erase(erase).await?;
                self.payloads.settle(&ticket, Some(appended.position));
                Ok(appended)
            }
            Sent::Not(error) => {
                self.payloads.unstage(staged).await?;
                self.payloads.settle(&ticket, None);
                Err(error)
            }
            Sent::Unknown(reason) => {
                let unsettled = Unsettled {
                    expected,
                    ids,
                    erase,
                    staged,
                    ticket,
                };
                place.keep_unsettled(stream, unsettled);
                Err(LogError::Unknown {
                    reason: format!("{}: {reason}", self.connection.place()),
                })
            }
        }
    }

    async fn stage(&self, events: &[NewStoredEvent]) -> Result<(Ticket, Staged), LogError> {
        let ticket = self.payloads.begin();
        match self.payloads.stage(events).await {
            Ok(staged) => Ok((ticket, staged)),
            Err(error) => {
                self.payloads.settle(&ticket, None);
                Err(error)
            }
        }
    }

    /// Finds out what became of an earlier append to the stream, if that is not known yet.
    async fn settle_earlier(&self, place: &mut Place, stream: &StreamId) -> Result<(), LogError> {
        let Some(earlier) = place.take_unsettled(stream) else {
            return Ok(());
        };
        match self.look(stream, earlier.expected, &earlier.ids).await {
            Ok(Looked::Done(appended)) => {
                self.payloads.erase(earlier.erase).await?;
                self.payloads
                    .settle(&earlier.ticket, Some(appended.position));
                Ok(())
            }
            Ok(Looked::Elsewhere(_)) => {
                self.payloads.unstage(earlier.staged).await?;
                self.payloads.settle(&earlier.ticket, None);
                Ok(())
            }
            // It may still be on its way.
            Ok(Looked::Expected(_)) => {
                place.keep_unsettled(stream, earlier);
                Ok(())
            }
            Err(error) => {
                place.keep_unsettled(stream, earlier);
                Err(error)
            }
        }
    }

    /// Reads where the stream is, and whether the events after the expected place have these ids.
    async fn look(
        &self,
        stream: &StreamId,
        expected: Expected,
        ids: &[EventId],
    ) -> Result<Looked, LogError> {
        let last = self.read_page(stream, From::Backwards(None), 1).await?;
        let end = last
            .events
            .first()
            .map_or(End::Absent, |last| End::At(place_of(last)));
        if end.is(expected) {
            return Ok(Looked::Expected(end));
        }
        let mut next = match expected {
            Expected::NoStream => 0,
            Expected::Exact(Revision(u64::MAX)) => return Ok(Looked::Elsewhere(end)),
            Expected::Exact(revision) => revision.0 + 1,
        };
        let mut rest = ids;
        let mut found = None;
        while !rest.is_empty() {
            let page = self.read_page(stream, From::Forwards(next), rest.len());
            let page = page.await?;
            let same = page.events.iter().zip(rest);
            if page.events.is_empty() || !same.into_iter().all(|(event, id)| event.id == *id) {
                return Ok(Looked::Elsewhere(end));
            }
            rest = &rest[page.events.len()..];
            next += page.events.len() as u64;
            found = page.events.last().map(place_of);
        }
        Ok(found.map_or(Looked::Elsewhere(end), Looked::Done))
    }

    /// Sends until the outcome is known or the time is over.
    async fn send(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: &[Prepared],
        ids: &[EventId],
    ) -> Sent {
        let deadline = Instant::now() + APPEND_DEADLINE;
        let mut backoff = Backoff::new();
        let mut sent = false;
        loop {
            let failure = match self.send_once(stream, expected, events, &mut sent).await {
                Ok(answer) => match answered(stream, expected, ids.len(), &answer) {
                    Ok(appended) => return Sent::Appended(appended),
                    Err(error) => return Sent::Not(error),
                },
                Err(Attempt::Certain(error)) => return Sent::Not(error),
                Err(Attempt::NotSent(failure)) if !sent => {
                    let refused = matches!(failure, Failure::Refused(_));
                    if refused || !backoff.wait_before(deadline).await {
                        return Sent::Not(failure.into_error(&self.connection.place()));
                    }
                    continue;
                }
                Err(Attempt::NotSent(failure) | Attempt::Open(failure)) => failure,
            };
            match self.look(stream, expected, ids).await {
                Ok(Looked::Done(appended)) => return Sent::Appended(appended),
                Ok(Looked::Elsewhere(end)) => return Sent::Not(conflict(end)),
                Err(error @ LogError::Fatal { .. }) => return Sent::Not(error),
                // Not there, or not there yet: the same ids are sent again, which is harmless.
                Ok(Looked::Expected(_)) | Err(_) => {}
            }
            if !backoff.wait_before(deadline).await {
                let LogError::Unavailable { reason } = failure.into_error("no answer") else {
                    return Sent::Unknown("no answer".to_owned());
                };
                return Sent::Unknown(reason);
            }
        }
    }

    async fn send_once(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: &[Prepared],
        sent: &mut bool,
    ) -> Result<BatchWriteResult, Attempt> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        let hash = self.ends.hash(stream);
        let session = match timeout_at(deadline, self.sessions.get(hash, &self.connection)).await {
            Ok(session) => session.map_err(Attempt::NotSent)?,
            Err(_) => return Err(Attempt::NotSent(late())),
        };
        let again = std::mem::replace(sent, true);
        let wire = events.iter().map(Prepared::to_wire).collect();
        let appending = session.append(stream.as_str(), to_crate(expected), wire);
        let attempt = match timeout_at(deadline, appending).await {
            // The answer to a repeat need not name the place of the first append.
            Ok(Ok(_)) if again => Attempt::Open(Failure::passing("it was sent twice")),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Attempt::of(error, again, &self.connection.place()),
            Err(_) => Attempt::Open(late()),
        };
        self.sessions.drop_failed(hash, &session).await;
        if let Attempt::Open(failure) = &attempt {
            self.connection.note(session.generation, failure);
        }
        Err(attempt)
    }
}

/// What an attempt that was not answered with success means.
enum Attempt {
    /// It did not leave this process.
    NotSent(Failure),
    /// Nothing was appended, by this attempt or an earlier one.
    Certain(LogError),
    /// Only a look at the stream can tell.
    Open(Failure),
}

impl Attempt {
    fn of(error: eventstore::Error, again: bool, place: &str) -> Self {
        match error {
            eventstore::Error::Grpc { code, message } => {
                if message.contains("MaximumAppendSize") || message.contains("Maximum Append Size")
                {
                    let digits = message.split(|c: char| !c.is_ascii_digit());
                    let max = digits.filter_map(|digits| digits.parse().ok()).max();
                    let max = max.unwrap_or(1024 * 1024);
                    return Self::Certain(LogError::TooLarge {
                        max,
                        actual: max + 1,
                    });
                }
                if code == Code::PermissionDenied && !again {
                    let refused = Failure::from(eventstore::Error::AccessDenied);
                    return Self::Certain(refused.into_error(place));
                }
                Self::Open(Failure::passing(format!("it answered {message}")))
            }
            eventstore::Error::AccessDenied if !again => {
                Self::Certain(Failure::from(eventstore::Error::AccessDenied).into_error(place))
            }
            error => Self::Open(error.into()),
        }
    }
}

fn late() -> Failure {
    Failure::Passing {
        reason: "no answer came in time".to_owned(),
        disconnected: true,
    }
}

fn conflict(end: End) -> LogError {
    LogError::Conflict {
        actual: match end {
            End::Absent => None,
            End::At(last) => Some(last.revision),
        },
    }
}

fn to_crate(expected: Expected) -> ExpectedRevision {
    match expected {
        Expected::NoStream => ExpectedRevision::NoStream,
        Expected::Exact(revision) => ExpectedRevision::Exact(revision.0),
    }
}

/// Where a first answer says that the append ended.
fn answered(
    stream: &StreamId,
    expected: Expected,
    count: usize,
    answer: &BatchWriteResult,
) -> Result<Appended, LogError> {
    let begin = match expected {
        Expected::NoStream => 0,
        Expected::Exact(revision) => revision.0 + 1,
    };
    let last = begin + count as u64 - 1;
    match (answer.current_revision(), answer.current_position()) {
        (Some(revision), Some(position)) if revision == last => Ok(Appended {
            revision: Revision(revision),
            position: convert::position_of(position.commit, position.prepare),
        }),
        // A stream that was deleted goes on where it ended.
        (revision, _) => Err(LogError::Fatal {
            reason: format!(
                "the stream {stream} was appended to at {revision:?} instead of {last}: it was deleted on the server before, and must not be"
            ),
        }),
    }
}
