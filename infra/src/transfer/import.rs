//! A file becomes a log, or the rest of one that holds its beginning already.

use std::io::BufRead;

use futures_util::stream::{self, StreamExt as _};
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision, StreamId, limits};
use satpost_event_store::{EventStore, NewStoredEvent, RecordedEvent};

use super::file::{Events, FileError, Scanned};
use super::head::LogHead;
use super::pages::Pages;
use super::record::{ExportedEvent, PayloadContent};

/// How many events one append takes at most.
const APPEND_EVENTS: usize = 1_024;
/// How many bytes of events, and of payloads, one append takes before it is full. Servers of the
/// EventStoreDB protocol refuse appends over 1 MiB.
const APPEND_BYTES: usize = 256 * 1024;

/// Why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file begins where the log has not come to.
    #[error(
        "the file begins after event {needed}, but the log has {found} events; import what is before it first"
    )]
    Behind {
        /// How many events are before the file.
        needed: u64,
        /// How many the log has.
        found: u64,
    },
    /// What is before the file is not what the log begins with.
    #[error("the log is another one: its first {events} events are not those before the file")]
    OtherLog {
        /// How many events were compared.
        events: u64,
    },
    /// The log has something else at a place.
    #[error(
        "the log is another one: its event {event}, {revision} of {stream} at position {position}, is not the one in the file"
    )]
    OtherEvent {
        /// Which event of the log, from 1.
        event: u64,
        /// Its place in the log.
        position: Position,
        /// Its stream.
        stream: StreamId,
        /// Its place in the stream.
        revision: Revision,
    },
    /// The log answered with another place than the next one.
    #[error(
        "events of {stream} were stored out of order; another writer is at work, or appends before them were refused. Import into an empty log again"
    )]
    OutOfOrder {
        /// Their stream.
        stream: StreamId,
    },
    /// What was read back is not what the file holds.
    #[error(
        "after the import the log has the head {found}, the file {expected}; do not use this log"
    )]
    HeadDiffers {
        /// Of the log.
        found: satpost_domain::ids::Digest,
        /// Of the file.
        expected: satpost_domain::ids::Digest,
    },
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// How many events of the file the log had already.
    pub present: u64,
    /// How many were appended.
    pub appended: u64,
    /// How many payloads came with them.
    pub payloads: u64,
    /// How many events the log has after those of the file.
    pub beyond: u64,
    /// The head through the last event of the file, read back from the log.
    pub head: LogHead,
}

/// Appends what `file` holds and `store` does not, in the order of the file. `scanned` is what a scan of
/// the same file told: it must be finished. `in_flight` appends wait at the same time; more than one only
/// for a store that carries out appends in the order in which they were begun.
///
/// Nobody else may write to the log meanwhile. What is there is compared first, so an import that
/// was interrupted goes on where it stopped.
///
/// # Errors
/// [`ImportError`]; the log then holds a beginning of the file more than before, or is as it was.
pub async fn import(
    store: &dyn EventStore,
    mut file: Events<impl BufRead>,
    scanned: &Scanned,
    in_flight: usize,
    mut on_progress: impl FnMut(u64),
) -> Result<Imported, ImportError> {
    scanned.check_finished()?;
    let before = scanned.header.before;
    let mut log = Pages::new(store);
    skip(&mut log, before).await?;
    let mut reached = before.events;
    let mut imported = Imported {
        present: 0,
        appended: 0,
        payloads: 0,
        beyond: 0,
        head: before,
    };
    let first = loop {
        match (log.next().await?, file.next_event()?) {
            (Some(found), Some(event)) => {
                reached += 1;
                check_same(reached, &found, &event.recorded)?;
                imported.present += 1;
                on_progress(reached);
            }
            (None, event) => break event,
            (Some(_), None) => {
                imported.beyond = 1;
                while log.next().await?.is_some() {
                    imported.beyond += 1;
                }
                break None;
            }
        }
    };
    let batches = Batches {
        file,
        next: first,
        failed: None,
    };
    append_all(store, batches, in_flight, &mut imported, |appended| {
        on_progress(reached + appended);
    })
    .await?;
    imported.head = read_back(store, scanned.head.events).await?;
    if imported.head != scanned.head {
        return Err(ImportError::HeadDiffers {
            found: imported.head.digest,
            expected: scanned.head.digest,
        });
    }
    Ok(imported)
}

/// Passes the events of the log that are before the file.
async fn skip(log: &mut Pages<'_>, before: LogHead) -> Result<(), ImportError> {
    let mut head = LogHead::start();
    while head.events < before.events {
        let Some(event) = log.next().await? else {
            return Err(ImportError::Behind {
                needed: before.events,
                found: head.events,
            });
        };
        head.add(&event);
    }
    if head == before {
        Ok(())
    } else {
        Err(ImportError::OtherLog {
            events: before.events,
        })
    }
}

fn check_same(
    event: u64,
    found: &RecordedEvent,
    expected: &RecordedEvent,
) -> Result<(), ImportError> {
    // Where an event lies is the business of its engine.
    let expected = RecordedEvent {
        position: found.position,
        ..expected.clone()
    };
    if *found == expected {
        return Ok(());
    }
    Err(ImportError::OtherEvent {
        event,
        position: found.position,
        stream: found.stream.clone(),
        revision: found.revision,
    })
}

async fn read_back(store: &dyn EventStore, events: u64) -> Result<LogHead, LogError> {
    let mut head = LogHead::start();
    let mut log = Pages::new(store);
    while head.events < events {
        let Some(event) = log.next().await? else {
            break;
        };
        head.add(&event);
    }
    Ok(head)
}

async fn append_all(
    store: &dyn EventStore,
    mut batches: Batches<impl BufRead>,
    in_flight: usize,
    imported: &mut Imported,
    mut on_progress: impl FnMut(u64),
) -> Result<(), ImportError> {
    let mut last = Position::START;
    {
        let appends = stream::iter(&mut batches).map(|batch| append(store, batch));
        let mut answers = appends.buffered(in_flight);
        while let Some(answer) = answers.next().await {
            let (batch, appended) = answer?;
            if appended.revision != batch.last || appended.position <= last {
                return Err(ImportError::OutOfOrder {
                    stream: batch.stream,
                });
            }
            last = appended.position;
            imported.appended += batch.count;
            imported.payloads += batch.payloads;
            on_progress(imported.appended);
        }
    }
    batches.failed.map_or(Ok(()), |error| Err(error.into()))
}

/// What is known of an append once its events are on their way.
struct Sent {
    stream: StreamId,
    last: Revision,
    count: u64,
    payloads: u64,
}

/// An append whose outcome is not known is repeated: the ids tell the log that it is the same.
async fn append(store: &dyn EventStore, batch: Batch) -> Result<(Sent, Appended), LogError> {
    let sent = Sent {
        last: batch.last(),
        count: batch.events.len() as u64,
        payloads: batch.events.len() as u64 - batch.without_payload,
        stream: batch.stream,
    };
    let (expected, events, erase) = (batch.expected, batch.events, batch.erase);
    let mut delay = limits::UNKNOWN_RETRY_DELAY;
    for _ in 0..limits::UNKNOWN_RETRIES_MAX {
        let answer = store
            .append(&sent.stream, expected, events.clone(), erase.clone())
            .await;
        match answer {
            Err(LogError::Unknown { .. }) => tokio::time::sleep(delay).await,
            answer => return answer.map(|appended| (sent, appended)),
        }
        delay *= 2;
    }
    let answer = store.append(&sent.stream, expected, events, erase).await?;
    Ok((sent, answer))
}

/// Events of one stream that follow one another in the log.
struct Batch {
    stream: StreamId,
    expected: Expected,
    events: Vec<NewStoredEvent>,
    /// What is stored and erased by the same append: the event keeps the id of its payload, and the
    /// payload never was there.
    erase: Vec<PayloadId>,
    without_payload: u64,
    bytes: usize,
}

impl Batch {
    fn beginning_with(event: ExportedEvent) -> Self {
        let RecordedEvent {
            ref stream,
            revision,
            ..
        } = event.recorded;
        let mut batch = Self {
            stream: stream.clone(),
            expected: match revision.0.checked_sub(1) {
                None => Expected::NoStream,
                Some(before) => Expected::Exact(Revision(before)),
            },
            events: Vec::new(),
            erase: Vec::new(),
            without_payload: 0,
            bytes: 0,
        };
        batch.add(event);
        batch
    }

    fn last(&self) -> Revision {
        let before = match self.expected {
            Expected::NoStream => 0,
            Expected::Exact(revision) => revision.0 + 1,
        };
        Revision(before + self.events.len() as u64 - 1)
    }

    fn takes(&self, event: &ExportedEvent) -> bool {
        let recorded = &event.recorded;
        recorded.stream == self.stream
            && recorded.revision == self.last().next()
            && self.events.len() < APPEND_EVENTS
            && self.bytes < APPEND_BYTES
            // A payload that is stored again may be one that this append erases.
            && recorded.payload.is_none_or(|id| !self.erase.contains(&id))
    }

    fn add(&mut self, event: ExportedEvent) {
        let recorded = event.recorded;
        let bytes = match event.payload {
            Some(PayloadContent::Present(bytes)) => Some(bytes),
            Some(PayloadContent::Erased | PayloadContent::LeftOut) | None => None,
        };
        self.without_payload += u64::from(bytes.is_none());
        if let (Some(id), None) = (recorded.payload, &bytes) {
            self.erase.push(id);
        }
        let payload = recorded
            .payload
            .map(|id| (id, bytes.unwrap_or_default().into()));
        let new = NewStoredEvent {
            id: recorded.id,
            kind: recorded.kind.into(),
            schema: recorded.schema,
            body: recorded.body,
            metadata: recorded.metadata,
            payload,
        };
        let payload_bytes = new.payload.as_ref().map_or(0, |(_, bytes)| bytes.len());
        self.bytes += new.body.len() + new.metadata.len() + payload_bytes;
        self.events.push(new);
    }
}

/// The rest of a file in appends.
struct Batches<R> {
    file: Events<R>,
    next: Option<ExportedEvent>,
    /// Why the file could not be read on.
    failed: Option<FileError>,
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::beginning_with(self.next.take()?);
        loop {
            match self.file.next_event() {
                Ok(Some(event)) if batch.takes(&event) => batch.add(event),
                Ok(event) => {
                    self.next = event;
                    return Some(batch);
                }
                Err(error) => {
                    self.failed = Some(error);
                    return Some(batch);
                }
            }
        }
    }
}
