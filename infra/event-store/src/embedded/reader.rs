//! Reads events. It shares nothing with the writer but the index, whose lock it holds only to look
//! up places; files are read at places that never change again.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{EventId, Position, Revision, StreamId};

use super::index::{Index, Part, Places, StreamKey};
use super::record::{self, PREFIX_BYTES, Record};
use super::segment::SegmentFile;
use super::window::Window;
use crate::{RecordedEvent, RecordedPage};

/// How many bytes of events one page has at most; at least one event is always answered.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many events one page has at most.
const PAGE_EVENTS_MAX: usize = PAGE_BYTES_MAX / 64;
/// How much is read at once when events probably follow each other.
const SCAN_WINDOW_BYTES: usize = 256 * 1024;
/// How much is read at once when they probably do not.
const STREAM_WINDOW_BYTES: usize = 4 * 1024;

/// Reads events at places that the index names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) index: Arc<RwLock<Index>>,
}

/// The stream that is read.
pub(super) struct WantedStream {
    pub(super) key: StreamKey,
    /// What the events say: an index that is wrong must not mix streams.
    pub(super) name: StreamId,
}

/// Some events of one segment, to be read.
struct Run {
    segment: Arc<SegmentFile>,
    /// No record ends behind this.
    end: u64,
    /// Positions and where their records start.
    places: Vec<(u64, u32)>,
}

impl Reader {
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        // The index is only ever added to, so it is usable whatever happened to another thread.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events after a position, in order.
    pub(super) fn read_all(&self, after: u64, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let parts = {
            let index = self.index();
            let first = after.saturating_add(1);
            let count = max.min(PAGE_EVENTS_MAX) as u64;
            let end = first.saturating_add(count).min(index.head() + 1);
            index.parts(&(first..end.max(first)))
        };
        self.read_runs(&resolve(parts)?, SCAN_WINDOW_BYTES)
    }

    /// Events of a stream by ascending revision.
    pub(super) fn read_stream(
        &self,
        wanted: &WantedStream,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let (parts, from, rest) = {
            let index = self.index();
            let total = index.end_of(&wanted.key).map_or(0, |(events, _)| events);
            let from = from.0.min(total);
            let count = (max.min(PAGE_EVENTS_MAX) as u64).min(total - from);
            let parts = index.stream_parts(&wanted.key, &(from..from + count));
            (parts, from, total - from)
        };
        let events = self.read_runs(&resolve(parts)?, STREAM_WINDOW_BYTES)?;
        page(wanted, events, rest, from..)
    }

    /// Events of a stream by descending revision.
    pub(super) fn read_stream_back(
        &self,
        wanted: &WantedStream,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let (parts, rest) = {
            let index = self.index();
            let total = index.end_of(&wanted.key).map_or(0, |(events, _)| events);
            let end = from.map_or(total, |from| from.0.saturating_add(1).min(total));
            let count = (max.min(PAGE_EVENTS_MAX) as u64).min(end);
            (index.stream_parts(&wanted.key, &(end - count..end)), end)
        };
        let mut runs = resolve(parts)?;
        runs.reverse();
        for run in &mut runs {
            run.places.reverse();
        }
        let events = self.read_runs(&runs, STREAM_WINDOW_BYTES)?;
        page(wanted, events, rest, (0..rest).rev())
    }

    /// Where an append ended that was carried out before: nothing unless the events after
    /// `expected` have exactly these ids.
    pub(super) fn first_answer(
        &self,
        key: &StreamKey,
        expected: Expected,
        ids: &[EventId],
    ) -> Result<Option<(Revision, Position)>, LogError> {
        let from = match expected {
            Expected::NoStream => Some(0),
            Expected::Exact(revision) => revision.0.checked_add(1),
        };
        let Some(end) = from.and_then(|from| from.checked_add(ids.len() as u64)) else {
            return Ok(None);
        };
        let revisions = end - ids.len() as u64..end;
        let parts = {
            let index = self.index();
            let total = index.end_of(key).map_or(0, |(events, _)| events);
            if total < end {
                return Ok(None);
            }
            index.stream_parts(key, &revisions)
        };
        let mut window = Window::new(STREAM_WINDOW_BYTES);
        let (mut wanted, mut last) = (ids.iter(), None);
        for run in &resolve(parts)? {
            window.forget();
            for (position, offset) in &run.places {
                let found = run.record(&mut window, *offset)?;
                if wanted.next() != Some(&found.id) {
                    return Ok(None);
                }
                last = Some(*position);
            }
        }
        let all = wanted.next().is_none();
        Ok(last
            .filter(|_| all)
            .map(|last| (Revision(end - 1), Position::new(last, 0))))
    }

    fn read_runs(&self, runs: &[Run], window_bytes: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let mut window = Window::new(window_bytes);
        let mut events = Vec::with_capacity(runs.iter().map(|run| run.places.len()).sum());
        let mut bytes = 0;
        for run in runs {
            window.forget();
            for (position, offset) in &run.places {
                let record = run.record(&mut window, *offset)?;
                let event = record
                    .to_event(Position::new(*position, 0))
                    .map_err(|error| damaged(&run.segment.path, (*offset).into(), &error))?;
                bytes += event.body.len() + event.metadata.len();
                if bytes > PAGE_BYTES_MAX && !events.is_empty() {
                    return Ok(events);
                }
                events.push(event);
            }
        }
        Ok(events)
    }
}

/// Looks up where the events of full segments are. Reads index files, so it is done without the
/// lock of the index.
fn resolve(parts: Vec<Part>) -> Result<Vec<Run>, LogError> {
    let resolve = |part: Part| -> std::io::Result<Run> {
        let first = part.segment.header.first;
        let places = match part.places {
            Places::Known(places) => places,
            Places::Stream(tables, places) => tables.places(&places)?,
            Places::Ordinals(tables, ordinals) => {
                let offsets = tables.offsets(&ordinals)?;
                ordinals.zip(offsets).collect()
            }
        };
        let position = |(ordinal, offset)| (first + u64::from(ordinal), offset);
        Ok(Run {
            segment: part.segment,
            end: part.end,
            places: places.into_iter().map(position).collect(),
        })
    };
    let runs = parts.into_iter().map(|part| {
        let segment = part.segment.header.number;
        resolve(part).map_err(|error| LogError::Unavailable {
            reason: format!("cannot read the index file of segment {segment}: {error}"),
        })
    });
    runs.collect()
}

/// Makes a page of events, which must be those of the stream with these revisions.
fn page(
    wanted: &WantedStream,
    events: Vec<RecordedEvent>,
    rest: u64,
    revisions: impl Iterator<Item = u64>,
) -> Result<RecordedPage, LogError> {
    for (event, revision) in events.iter().zip(revisions) {
        if event.stream != wanted.name || event.revision.0 != revision {
            return Err(LogError::Fatal {
                reason: format!(
                    "the index names the event at position {} as revision {revision} of a stream it is not; \
                     index files are checked when the log is opened again",
                    event.position.major()
                ),
            });
        }
    }
    Ok(RecordedPage {
        end_of_stream: events.len() as u64 == rest,
        events,
    })
}

fn damaged(path: &Path, offset: u64, reason: &dyn std::fmt::Display) -> LogError {
    LogError::Fatal {
        reason: format!("{} is damaged at byte {offset}: {reason}", path.display()),
    }
}

impl Run {
    /// The record at `offset`, checked.
    fn record<'w>(&self, window: &'w mut Window, offset: u32) -> Result<Record<'w>, LogError> {
        let (path, at) = (&self.segment.path, u64::from(offset));
        let prefix = self.bytes(window, at, PREFIX_BYTES)?;
        let length = record::length(prefix).unwrap_or(usize::MAX);
        if at.saturating_add(length as u64) > self.end {
            return Err(damaged(path, at, &"a record ends behind the log"));
        }
        let bytes = self.bytes(window, at, length)?;
        let (record, _) = Record::decode(bytes).map_err(|error| damaged(path, at, &error))?;
        Ok(record)
    }

    fn bytes<'w>(
        &self,
        window: &'w mut Window,
        at: u64,
        needed: usize,
    ) -> Result<&'w [u8], LogError> {
        let (file, path) = (&*self.segment.file, &self.segment.path);
        let bytes = window
            .bytes_at(file, self.end, at, needed)
            .map_err(|error| LogError::Unavailable {
                reason: format!("cannot read {}: {error}", path.display()),
            })?;
        bytes.ok_or_else(|| damaged(path, at, &"the file ends too early"))
    }
}
