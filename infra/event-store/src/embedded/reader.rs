//! Reads events. It shares nothing with the writer but the index, whose lock it holds only to look
//! up places; files are read at places that never change again.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{EventId, Position, Revision};

use super::index::{Index, Run, StreamKey};
use super::record::{self, PREFIX_BYTES, Record};
use crate::{RecordedEvent, RecordedPage};

/// How many bytes of events one page has at most; at least one event is always answered.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much is read at once when events probably follow each other.
const SCAN_WINDOW_BYTES: usize = 256 * 1024;
/// How much is read at once when they probably do not.
const STREAM_WINDOW_BYTES: usize = 4 * 1024;

/// Reads events at places that the index names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) index: Arc<RwLock<Index>>,
}

impl Reader {
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        // The index is only ever added to, so it is usable whatever happened to another thread.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events after a position, in order.
    pub(super) fn read_all(&self, after: u64, max: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let runs = {
            let index = self.index();
            // No page of this many bytes has more events than this.
            let max = max.min(PAGE_BYTES_MAX / 64);
            index.runs(index.after(after, max))
        };
        self.read_runs(&runs, SCAN_WINDOW_BYTES)
    }

    /// Events of a stream by ascending revision.
    pub(super) fn read_stream(
        &self,
        key: &StreamKey,
        from: Revision,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let (runs, rest) = {
            let index = self.index();
            let all = index.stream(key);
            let from = usize::try_from(from.0).unwrap_or(usize::MAX).min(all.len());
            let wanted = all[from..].iter().copied().take(max);
            (index.runs(wanted), all.len() - from)
        };
        self.page(&runs, rest)
    }

    /// Events of a stream by descending revision.
    pub(super) fn read_stream_back(
        &self,
        key: &StreamKey,
        from: Option<Revision>,
        max: usize,
    ) -> Result<RecordedPage, LogError> {
        let (runs, rest) = {
            let index = self.index();
            let all = index.stream(key);
            let count = from.map_or(all.len(), |from| {
                let count = usize::try_from(from.0).unwrap_or(usize::MAX);
                count.saturating_add(1).min(all.len())
            });
            let wanted = all[..count].iter().rev().copied().take(max);
            (index.runs(wanted), count)
        };
        self.page(&runs, rest)
    }

    fn page(&self, runs: &[Run], rest: usize) -> Result<RecordedPage, LogError> {
        let events = self.read_runs(runs, STREAM_WINDOW_BYTES)?;
        Ok(RecordedPage {
            end_of_stream: events.len() == rest,
            events,
        })
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
        let Some(from) = from.and_then(|from| usize::try_from(from).ok()) else {
            return Ok(None);
        };
        let (runs, last) = {
            let index = self.index();
            let end = from.saturating_add(ids.len());
            let Some(positions) = index.stream(key).get(from..end) else {
                return Ok(None);
            };
            (
                index.runs(positions.iter().copied()),
                positions.last().copied(),
            )
        };
        let mut window = Window::new(STREAM_WINDOW_BYTES);
        let mut wanted = ids.iter();
        for run in &runs {
            for (_, offset) in &run.places {
                let found = window.record(run, *offset)?;
                if wanted.next() != Some(&found.id) {
                    return Ok(None);
                }
            }
        }
        Ok(last.map(|last| {
            let revision = Revision((from + ids.len()) as u64 - 1);
            (revision, Position::new(last, 0))
        }))
    }

    fn read_runs(&self, runs: &[Run], window_bytes: usize) -> Result<Vec<RecordedEvent>, LogError> {
        let mut window = Window::new(window_bytes);
        let mut events = Vec::with_capacity(runs.iter().map(|run| run.places.len()).sum());
        let mut bytes = 0;
        for run in runs {
            window.forget();
            for (position, offset) in &run.places {
                let record = window.record(run, *offset)?;
                let event = record
                    .to_event(Position::new(*position, 0))
                    .map_err(|error| damaged(run, *offset, &error))?;
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

fn damaged(run: &Run, offset: u32, reason: &dyn std::fmt::Display) -> LogError {
    LogError::Fatal {
        reason: format!(
            "{} is damaged at byte {offset}: {reason}",
            run.segment.path.display()
        ),
    }
}

/// A part of one segment in memory.
struct Window {
    size: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn new(size: usize) -> Self {
        Self {
            size,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Forgets what it holds: what follows is another segment.
    fn forget(&mut self) {
        self.bytes.clear();
    }

    /// The record at `offset`, checked.
    fn record(&mut self, run: &Run, offset: u32) -> Result<Record<'_>, LogError> {
        let at = u64::from(offset);
        let prefix = self.bytes_at(run, at, PREFIX_BYTES)?;
        let length = record::length(prefix).unwrap_or(usize::MAX);
        if at.saturating_add(length as u64) > run.end {
            return Err(damaged(run, offset, &"a record ends behind the log"));
        }
        let bytes = self.bytes_at(run, at, length)?;
        let (record, _) = Record::decode(bytes).map_err(|error| damaged(run, offset, &error))?;
        Ok(record)
    }

    fn bytes_at(&mut self, run: &Run, at: u64, needed: usize) -> Result<&[u8], LogError> {
        let held = self.start..self.start + self.bytes.len() as u64;
        if !(held.start <= at && at + needed as u64 <= held.end) {
            let left = usize::try_from(run.end.saturating_sub(at)).unwrap_or(usize::MAX);
            self.bytes.resize(self.size.max(needed).min(left), 0);
            self.start = at;
            let read = run
                .segment
                .file
                .read_at(&mut self.bytes, at)
                .map_err(|error| LogError::Unavailable {
                    reason: format!("cannot read {}: {error}", run.segment.path.display()),
                })?;
            self.bytes.truncate(read);
        }
        let start = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        self.bytes
            .get(start..start.saturating_add(needed))
            .ok_or_else(|| LogError::Fatal {
                reason: format!(
                    "{} is damaged at byte {at}: the file ends too early",
                    run.segment.path.display()
                ),
            })
    }
}
