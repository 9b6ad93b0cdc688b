//! Where each event is, in memory: by position and by stream. About 16 bytes an event (4 for its
//! place, 8 for its stream, and what growing lists leave unused) and 100 bytes a stream.
//!
//! It is built by reading the whole log when it is opened. Index files beside full segments, which
//! save that, would be read where [`super::recovery`] calls [`Index::add`].

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::data_folder::LogId;
use super::segment::SegmentFile;

/// How many tables the streams are spread over. A table that grows holds up the writer for as long
/// as it takes to move its entries; many small tables make that short.
const SHARDS: usize = 256;

/// Stands for a stream's name: the first 16 bytes of SHA-256 over the log's secret id and the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamKey([u8; 16]);

impl StreamKey {
    pub(super) fn new(log_id: &LogId, stream: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(log_id.as_bytes());
        hasher.update(stream.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        Self(*digest.first_chunk().expect("32 bytes have a first 16"))
    }
}

/// The key is a hash already.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // The last bytes: the first one chooses the table.
        if let Some(bytes) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*bytes);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// A table by stream.
pub(super) type ByStream<V> = HashMap<StreamKey, V, BuildHasherDefault<KeyHasher>>;

/// The events of one segment.
struct SegmentIndex {
    segment: Arc<SegmentFile>,
    /// The position of its first event.
    first: u64,
    /// Where each record starts.
    offsets: Vec<u32>,
    /// Where the last whole frame ends.
    end: u64,
}

/// Where every event is.
pub(super) struct Index {
    streams: Vec<ByStream<Vec<u64>>>,
    /// By number and so by position.
    segments: Vec<SegmentIndex>,
}

/// Some events of one segment, to be read.
pub(super) struct Run {
    pub(super) segment: Arc<SegmentFile>,
    /// No record ends behind this.
    pub(super) end: u64,
    /// Positions and where their records start.
    pub(super) places: Vec<(u64, u32)>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            streams: (0..SHARDS).map(|_| ByStream::default()).collect(),
            segments: Vec::new(),
        }
    }

    /// The position of the last event; 0 when there is none.
    pub(super) fn head(&self) -> u64 {
        self.segments
            .last()
            .map_or(0, |last| last.first + last.offsets.len() as u64 - 1)
    }

    /// How many streams there are.
    pub(super) fn streams(&self) -> usize {
        self.streams.iter().map(HashMap::len).sum()
    }

    /// The positions of a stream's events; the index of each is its revision.
    pub(super) fn stream(&self, key: &StreamKey) -> &[u64] {
        self.streams[usize::from(key.0[0])]
            .get(key)
            .map_or(&[], Vec::as_slice)
    }

    /// Adds a segment whose first event will be at position `first`.
    pub(super) fn add_segment(&mut self, segment: Arc<SegmentFile>, first: u64) {
        self.segments.push(SegmentIndex {
            segment,
            first,
            offsets: Vec::new(),
            end: super::segment::HEADER_BYTES as u64,
        });
    }

    /// Adds the next event of the log: its stream and where in the last segment its record starts.
    pub(super) fn add(&mut self, key: StreamKey, offset: u32) {
        let segment = self.segments.last_mut().expect("a segment was added first");
        let position = segment.first + segment.offsets.len() as u64;
        segment.offsets.push(offset);
        self.streams[usize::from(key.0[0])]
            .entry(key)
            .or_default()
            .push(position);
    }

    /// Says where the last frame of the last segment ends.
    pub(super) fn set_end(&mut self, end: u64) {
        let segment = self.segments.last_mut().expect("a segment was added first");
        segment.end = end;
    }

    /// Where events are, grouped by segment, in the order asked for. Positions behind the head
    /// are left out.
    pub(super) fn runs(&self, positions: impl IntoIterator<Item = u64>) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for position in positions {
            let Some((segment, offset)) = self.place(position) else {
                continue;
            };
            match runs.last_mut() {
                Some(run) if Arc::ptr_eq(&run.segment, &segment.segment) => {
                    run.places.push((position, offset));
                }
                _ => runs.push(Run {
                    segment: Arc::clone(&segment.segment),
                    end: segment.end,
                    places: vec![(position, offset)],
                }),
            }
        }
        runs
    }

    /// The events after a position, at most `max`.
    pub(super) fn after(&self, after: u64, max: usize) -> Range<u64> {
        let first = after.saturating_add(1);
        let end = self.head() + 1;
        first..end.min(first.saturating_add(max as u64)).max(first)
    }

    fn place(&self, position: u64) -> Option<(&SegmentIndex, u32)> {
        let behind = self
            .segments
            .partition_point(|segment| segment.first <= position);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        let at = usize::try_from(position - segment.first).ok()?;
        Some((segment, *segment.offsets.get(at)?))
    }
}
