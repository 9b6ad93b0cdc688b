//! Reading streams and the whole log, in pages bounded by events and by bytes.
//!
//! A stream is read only as long as it is whole: one whose beginning was truncated, or that was
//! deleted, is refused, since a state folded from the rest would have a hole in it.

use eventstore::{Client, ReadAllOptions, ReadEvent, ReadStreamOptions, StreamPosition};
use satpost_commands::ports::{Appended, LogError};
use satpost_domain::{Position, Revision, StreamId};
use satpost_event_store::{RecordedEvent, RecordedPage};

use super::Inner;
use super::convert::{self, Found, Read};
use super::failure::Failure;
use super::stream_ends::End;

/// How many bytes of bodies and metadata one page has about at most.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many events of `$all` one call asks for at least; some of them are not ours.
const ALL_EVENTS_MIN: usize = 64;
/// The last revision there can be: the server counts in signed numbers, and takes greater ones for
/// "the end".
const REVISION_MAX: u64 = i64::MAX as u64;

/// Which way a stream is read, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Ascending from here.
    Forwards(u64),
    /// Descending from here, or from the end.
    Backwards(Option<u64>),
}

/// What the server gave of a stream.
struct Raw {
    /// Nothing when there is no stream.
    events: Option<Vec<RecordedEvent>>,
    /// Whether the server ended before `max` events and the bound in bytes were reached.
    ended: bool,
}

impl Inner {
    pub(super) async fn read_page(
        &self,
        stream: &StreamId,
        from: From,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let from = match from {
            From::Forwards(revision) if revision > REVISION_MAX => {
                return Ok(page(Vec::new(), true));
            }
            From::Backwards(Some(revision)) if revision > REVISION_MAX => From::Backwards(None),
            other => other,
        };
        // One more than asked for tells whether anything follows.
        let ask = max.saturating_add(1);
        let raw = self
            .connection
            .call(|client| self.read_raw(client, stream.clone(), from, ask))
            .await;
        let raw = match raw {
            Ok(raw) => raw,
            Err(Failure::Deleted) => {
                return Err(LogError::Fatal {
                    reason: format!(
                        "the stream {stream} was deleted on the server, and must not be"
                    ),
                });
            }
            Err(failure) => return Err(failure.into_error(&self.connection.place())),
        };
        let Some(mut events) = raw.events else {
            if matches!(from, From::Forwards(0) | From::Backwards(None)) {
                self.ends.note(stream, End::Absent);
            }
            return Ok(page(Vec::new(), true));
        };
        let whole = check_whole(stream, from, &events, raw.ended);
        whole.map_err(|reason| LogError::Fatal { reason })?;
        let more = events.len() > max;
        events.truncate(max);
        let end = !more && raw.ended;
        self.note_end(stream, from, &events, end);
        Ok(page(events, end))
    }

    fn note_end(&self, stream: &StreamId, from: From, events: &[RecordedEvent], end: bool) {
        let last = match from {
            From::Forwards(_) if end => events.last(),
            From::Backwards(None) => events.first(),
            _ => None,
        };
        if let Some(last) = last {
            self.ends.note(stream, End::At(place_of(last)));
        }
    }

    async fn read_raw(
        &self,
        client: Client,
        stream: StreamId,
        from: From,
        ask: usize,
    ) -> Result<Raw, Failure> {
        let options = ReadStreamOptions::default()
            .max_count(ask)
            .requires_leader(true);
        let options = match from {
            From::Forwards(0) => options.forwards().position(StreamPosition::Start),
            From::Forwards(revision) => options
                .forwards()
                .position(StreamPosition::Position(revision)),
            From::Backwards(None) => options.backwards().position(StreamPosition::End),
            From::Backwards(Some(revision)) => options
                .backwards()
                .position(StreamPosition::Position(revision)),
        };
        let options = match self.connection.credentials() {
            Some(credentials) => options.authenticated(credentials),
            None => options,
        };
        let mut reading = match client.read_stream(stream.as_str(), &options).await {
            Ok(reading) => reading,
            // An absent stream is told of inside the answer; this is somebody else's "not found".
            Err(eventstore::Error::ResourceNotFound) => {
                return Err(Failure::passing("it does not answer reads of streams"));
            }
            Err(error) => return Err(error.into()),
        };
        let (mut events, mut bytes) = (Vec::new(), 0);
        loop {
            if events.len() >= ask || bytes >= PAGE_BYTES_MAX {
                return Ok(Raw {
                    events: Some(events),
                    ended: false,
                });
            }
            match reading.next_read_event().await {
                Ok(Some(ReadEvent::Event(resolved))) => {
                    let event = ours(&stream, convert::read(resolved))?;
                    bytes += event.body.len() + event.metadata.len();
                    events.push(event);
                }
                Ok(Some(ReadEvent::FirstStreamPosition(first))) if first > 0 => {
                    return Err(Failure::Untrusted(truncated(&stream, first)));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(eventstore::Error::ResourceNotFound) => {
                    return Ok(Raw {
                        events: None,
                        ended: true,
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Raw {
            events: Some(events),
            ended: true,
        })
    }

    /// Up to `max` of our events strictly after `after`, and everything else there is between them.
    /// At least one of ours unless nothing of ours follows.
    pub(super) async fn read_log(
        &self,
        after: Position,
        max: usize,
    ) -> Result<Vec<Read>, LogError> {
        let mut from = after;
        let mut events: Vec<Read> = Vec::new();
        let mut bytes = 0;
        while events.len() < max && bytes < PAGE_BYTES_MAX {
            let ask = (max - events.len()).saturating_add(1).clamp(
                ALL_EVENTS_MIN,
                // Enough to be fast, little enough to be thrown away.
                4_096,
            );
            let (found, ended) = self
                .connection
                .call(|client| self.read_all_raw(client, Some(from), ask))
                .await
                .map_err(|failure| failure.into_error(&self.connection.place()))?;
            for found in found {
                from = from.max(found.position());
                if let Found::Ours(read) = found
                    && events.len() < max
                    && read.event.position > after
                {
                    bytes += read.event.body.len() + read.event.metadata.len();
                    events.push(*read);
                }
            }
            if ended {
                break;
            }
        }
        Ok(events)
    }

    /// The position of our last event.
    pub(super) async fn last_position(&self) -> Result<Position, LogError> {
        let mut before: Option<Position> = None;
        loop {
            let (found, ended) = self
                .connection
                .call(|client| self.read_back_raw(client, before, ALL_EVENTS_MIN))
                .await
                .map_err(|failure| failure.into_error(&self.connection.place()))?;
            let ours = found.iter().find(|found| matches!(found, Found::Ours(_)));
            if let Some(last) = ours {
                return Ok(last.position());
            }
            let lowest = found.iter().map(Found::position).min();
            if ended || lowest.is_none() || lowest == before {
                return Ok(Position::START);
            }
            before = lowest;
        }
    }

    /// Everything strictly after `after` in the order of the log, at most about `ask`, and whether
    /// the log ended there.
    async fn read_all_raw(
        &self,
        client: Client,
        after: Option<Position>,
        ask: usize,
    ) -> Result<(Vec<Found>, bool), Failure> {
        let from = match after {
            None | Some(Position::START) => StreamPosition::Start,
            Some(after) => StreamPosition::Position(convert::to_crate_position(after)),
        };
        let options = ReadAllOptions::default().forwards().position(from);
        let (found, count) = self.all(client, options, ask).await?;
        // The server begins with the event at the position itself.
        let after = after.unwrap_or(Position::START);
        let later = found.into_iter().filter(|found| found.position() > after);
        Ok((later.collect(), count < ask))
    }

    async fn read_back_raw(
        &self,
        client: Client,
        before: Option<Position>,
        ask: usize,
    ) -> Result<(Vec<Found>, bool), Failure> {
        let from = match before {
            None => StreamPosition::End,
            Some(before) => StreamPosition::Position(convert::to_crate_position(before)),
        };
        let options = ReadAllOptions::default().backwards().position(from);
        let (found, count) = self.all(client, options, ask).await?;
        let earlier = |found: &Found| before.is_none_or(|before| found.position() < before);
        Ok((found.into_iter().filter(earlier).collect(), count < ask))
    }

    async fn all(
        &self,
        client: Client,
        options: ReadAllOptions,
        ask: usize,
    ) -> Result<(Vec<Found>, usize), Failure> {
        let options = options.max_count(ask).requires_leader(true);
        let options = match self.connection.credentials() {
            Some(credentials) => options.authenticated(credentials),
            None => options,
        };
        let mut reading = client.read_all(&options).await?;
        let (mut found, mut count, mut bytes) = (Vec::new(), 0, 0);
        while bytes < PAGE_BYTES_MAX {
            let Some(resolved) = reading.next().await? else {
                return Ok((found, count));
            };
            count += 1;
            if let Some(next) = convert::read(resolved) {
                if let Found::Ours(read) = &next {
                    bytes += read.event.body.len() + read.event.metadata.len();
                }
                found.push(next);
            }
        }
        // Stopped before the server did, so more may follow.
        Ok((found, ask))
    }
}

fn page(events: Vec<RecordedEvent>, end_of_stream: bool) -> RecordedPage {
    RecordedPage {
        events,
        end_of_stream,
    }
}

/// The place of an event in its stream and in the log.
pub(super) fn place_of(event: &RecordedEvent) -> Appended {
    Appended {
        revision: event.revision,
        position: event.position,
    }
}

fn ours(stream: &StreamId, found: Option<Found>) -> Result<RecordedEvent, Failure> {
    match found {
        Some(Found::Ours(read)) => Ok(read.event),
        _ => Err(Failure::Untrusted(format!(
            "the stream {stream} holds an event that another program wrote; its state cannot be folded"
        ))),
    }
}

fn truncated(stream: &StreamId, first: u64) -> String {
    format!(
        "the stream {stream} begins with event {first}: its beginning was truncated on the server (truncate-before, max-count, max-age or a deletion), and must not be"
    )
}

/// Refuses events that do not follow one another without a gap.
fn check_whole(
    stream: &StreamId,
    from: From,
    events: &[RecordedEvent],
    ended: bool,
) -> Result<(), String> {
    let revision = |event: &RecordedEvent| event.revision.0;
    let in_order = match from {
        From::Forwards(_) => events
            .windows(2)
            .all(|pair| revision(&pair[1]) == revision(&pair[0]) + 1),
        From::Backwards(_) => events
            .windows(2)
            .all(|pair| revision(&pair[0]) == revision(&pair[1]) + 1),
    };
    if !in_order {
        return Err(format!("the stream {stream} has a hole on the server"));
    }
    match from {
        From::Forwards(from) => match events.first() {
            Some(first) if revision(first) != from => Err(truncated(stream, revision(first))),
            // A stream that is there and has nothing at its beginning.
            None if from == 0 && ended => Err(truncated(stream, 1)),
            _ => Ok(()),
        },
        From::Backwards(_) => match events.last() {
            Some(lowest) if ended && lowest.revision > Revision(0) => {
                Err(truncated(stream, revision(lowest)))
            }
            _ => Ok(()),
        },
    }
}
