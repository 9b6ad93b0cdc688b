//! Where each event is: by position and by stream.
//!
//! In memory are the ends of all streams, which full segments each stream is in
//! ([`super::stream_history`]: about 90 bytes a stream and 5 a stream and segment), and every event
//! of the segment that is being written ([`super::recent`]). Where the events of a full segment
//! are, its index file says, which is read at places.

use std::ops::Range;
use std::sync::Arc;

use super::index_file::{Image, StreamEntry};
use super::index_folder::Tables;
use super::recent::{PayloadChanges, PayloadState, Recent};
use super::segment::{HEADER_BYTES, SegmentFile, SegmentHeader};
use super::stream_history::{Share, Stream};
use super::stream_key::{SHARDS, Sharded};

pub(super) use super::stream_key::{ByStream, StreamKey};

/// One segment. Its events are in memory as long as it is the last one and until its index file is
/// made, and in tables then; while histories are told of the tables, in both.
struct Segment {
    file: Arc<SegmentFile>,
    /// Where the last whole frame ends.
    end: u64,
    recent: Option<Arc<Recent>>,
    tables: Option<Tables>,
    /// The streams in so many of the first shards know their share in the tables.
    told: usize,
}

/// Where every event is.
#[derive(Default)]
pub(super) struct Index {
    streams: Sharded<Stream>,
    /// By number and so by position.
    segments: Vec<Segment>,
    head: u64,
}

/// The revisions of a stream in a segment do not follow those before them.
#[derive(Debug)]
pub(super) struct Contradiction {
    /// The number of the segment.
    pub(super) segment: u32,
}

/// Some events of one segment that were asked for.
pub(super) struct Part {
    pub(super) segment: Arc<SegmentFile>,
    /// No record ends behind this.
    pub(super) end: u64,
    pub(super) places: Places,
}

/// Where the events of a [`Part`] are.
pub(super) enum Places {
    /// Ordinals and where their records start.
    Known(Vec<(u32, u32)>),
    /// These ordinals.
    Ordinals(Tables, Range<u32>),
    /// These places of a stream.
    Stream(Tables, Range<u32>),
}

impl Index {
    /// The position of the last event; 0 when there is none.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// How many streams there are.
    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// How many events a stream has and the position of the last; nothing when it is absent.
    pub(super) fn end_of(&self, key: &StreamKey) -> Option<(u64, u64)> {
        let stream = self.streams.get(key)?;
        Some((stream.events, stream.last))
    }

    /// Adds full segments, each with its tables, in order. Nothing may be asked of the index when
    /// it fails.
    pub(super) fn add_full(
        &mut self,
        full: Vec<(Arc<SegmentFile>, Arc<Image>, Tables)>,
        threads: usize,
    ) -> Result<(), Contradiction> {
        let per_thread = SHARDS.div_ceil(threads.max(1));
        let outcomes = std::thread::scope(|scope| {
            let chunks = self.streams.shards_mut().chunks_mut(per_thread);
            let merging: Vec<_> = (0..)
                .zip(chunks)
                .map(|(number, chunk)| {
                    let full = &full;
                    scope.spawn(move || {
                        let shards = number * per_thread..number * per_thread + chunk.len();
                        full.iter().try_for_each(|(file, image, _)| {
                            merge(chunk, &shards, &file.header, image)
                        })
                    })
                })
                .collect();
            let ended = merging.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended.collect::<Vec<_>>()
        });
        for outcome in outcomes {
            outcome.expect("merging does not panic")?;
        }
        for (file, image, tables) in full {
            self.head = file.header.first + u64::from(image.layout().count()) - 1;
            self.segments.push(Segment {
                file,
                end: image.end(),
                recent: None,
                tables: Some(tables),
                told: SHARDS,
            });
        }
        Ok(())
    }

    /// Adds the last segment with what is in it already.
    pub(super) fn add_last(
        &mut self,
        file: Arc<SegmentFile>,
        recent: Recent,
        end: u64,
    ) -> Result<(), Contradiction> {
        let SegmentHeader { number, first, .. } = file.header;
        for (key, added) in recent.streams().shards().iter().flatten() {
            let stream = self.streams.entry(*key).or_default();
            let ordinals = added.ordinals();
            if stream.events != added.first_revision {
                return Err(Contradiction { segment: number });
            }
            stream.events += ordinals.len() as u64;
            stream.last = first + u64::from(ordinals.last().copied().unwrap_or_default());
        }
        self.head = first + u64::from(recent.count()) - 1;
        self.push_recent(file, recent, end);
        Ok(())
    }

    /// Adds a new, empty segment behind the last one, which is full now. Gives what is in memory
    /// of the full one.
    pub(super) fn add_segment(&mut self, file: Arc<SegmentFile>) -> Option<Arc<Recent>> {
        let full = self.segments.last().and_then(|last| last.recent.clone());
        self.push_recent(file, Recent::default(), HEADER_BYTES as u64);
        full
    }

    fn push_recent(&mut self, file: Arc<SegmentFile>, recent: Recent, end: u64) {
        self.segments.push(Segment {
            file,
            end,
            recent: Some(Arc::new(recent)),
            tables: None,
            told: 0,
        });
    }

    /// Adds the next event of the log: its stream and where in the last segment its record starts.
    pub(super) fn add(&mut self, key: StreamKey, offset: u32) {
        self.head += 1;
        let stream = self.streams.entry(key).or_default();
        let revision = stream.events;
        stream.events += 1;
        stream.last = self.head;
        let added = self.last_recent().add(key, revision, offset);
        debug_assert!(added, "revisions were counted");
    }

    /// Adds what the last frame says about payloads; its events were added before.
    pub(super) fn add_payloads(&mut self, changes: &PayloadChanges) {
        let first = self.last().file.header.first;
        let recent = self.last_recent();
        for (id, position) in &changes.stored {
            // A segment has at most 1 GiB, so its ordinals have 32 bits.
            recent.set_payload(*id, PayloadState::Stored((position - first) as u32));
        }
        for id in &changes.erased {
            recent.set_payload(*id, PayloadState::Erased);
        }
    }

    /// Says where the last frame of the last segment ends.
    pub(super) fn set_end(&mut self, end: u64) {
        if let Some(last) = self.segments.last_mut() {
            last.end = end;
        }
    }

    fn last(&self) -> &Segment {
        self.segments.last().expect("a segment was added first")
    }

    fn last_recent(&mut self) -> &mut Recent {
        let last = self.segments.last_mut();
        let recent = last.and_then(|last| last.recent.as_mut());
        recent
            .and_then(Arc::get_mut)
            .expect("the last segment is in memory and not shared")
    }

    /// Gives a full segment its tables. Streams are told of them afterwards, one shard at a time,
    /// so that nobody waits for long.
    pub(super) fn set_tables(&mut self, number: u32, tables: Tables) {
        if let Some(segment) = self.segment_mut(number) {
            segment.tables = Some(tables);
        }
    }

    /// Tells the streams of the next shard of their shares in the tables of a full segment. When
    /// all were told, what was in memory is let go of.
    pub(super) fn tell_shard(&mut self, number: u32, shard: usize, image: &Image) {
        let streams = &mut self.streams.shards_mut()[shard];
        for entry in image.streams(shard..shard + 1) {
            if let Some(stream) = streams.get_mut(&entry.key) {
                stream.history.push(share(number, &entry));
            }
        }
        if let Some(segment) = self.segment_mut(number) {
            segment.told = shard + 1;
            if segment.told == SHARDS {
                segment.recent = None;
            }
        }
    }

    fn segment_mut(&mut self, number: u32) -> Option<&mut Segment> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.segments.get_mut(at)
    }

    /// The events at `positions`, by segment.
    pub(super) fn parts(&self, positions: &Range<u64>) -> Vec<Part> {
        let from = self
            .segments
            .partition_point(|segment| segment.file.header.first <= positions.start)
            .saturating_sub(1);
        let segments = self.segments[from..].iter();
        segments
            .take_while(|segment| segment.file.header.first < positions.end)
            .filter_map(|segment| {
                let first = segment.file.header.first;
                let ordinal = |position: u64| position.saturating_sub(first) as u32;
                let ordinals =
                    ordinal(positions.start)..ordinal(positions.end).min(segment.count());
                (!ordinals.is_empty()).then(|| segment.by_ordinals(ordinals))
            })
            .collect()
    }

    /// The events of a stream with these revisions, by segment.
    pub(super) fn stream_parts(&self, key: &StreamKey, revisions: &Range<u64>) -> Vec<Part> {
        let Some(stream) = self.streams.get(key) else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        let mut next = 0;
        for share in stream.history.shares() {
            let here = next..next + u64::from(share.events);
            next = here.end;
            let wanted = within(revisions, &here);
            let segment = self.segments.get(share.segment as usize - 1);
            if let Some((segment, tables)) =
                segment.and_then(|segment| Some((segment, segment.tables.as_ref()?)))
                && !wanted.is_empty()
            {
                let place = |revision: u64| share.start + (revision - here.start) as u32;
                let places = place(wanted.start)..place(wanted.end);
                parts.push(segment.part(Places::Stream(tables.clone(), places)));
            }
        }
        parts.extend(self.recent_parts(key, revisions));
        parts
    }

    /// The same, of the segments whose streams are only in memory.
    fn recent_parts(&self, key: &StreamKey, revisions: &Range<u64>) -> impl Iterator<Item = Part> {
        let full = self.segments.iter().rev();
        let count = full.take_while(|segment| segment.recent.is_some()).count();
        let segments = self.segments[self.segments.len() - count..].iter();
        segments.filter_map(|segment| {
            let recent = segment.recent.as_ref()?;
            if key.shard() < segment.told {
                return None;
            }
            let stream = recent.streams().get(key)?;
            let ordinals = stream.ordinals();
            let first = stream.first_revision;
            let wanted = within(revisions, &(first..first + ordinals.len() as u64));
            let place = |revision: u64| (revision - first) as usize;
            let ordinals = ordinals.get(place(wanted.start)..place(wanted.end))?;
            let places = ordinals
                .iter()
                .map(|ordinal| (*ordinal, recent.offsets()[*ordinal as usize]));
            (!wanted.is_empty()).then(|| segment.part(Places::Known(places.collect())))
        })
    }
}

impl Segment {
    fn count(&self) -> u32 {
        match (&self.recent, &self.tables) {
            (Some(recent), _) => recent.count(),
            (None, Some(tables)) => tables.count(),
            (None, None) => 0,
        }
    }

    fn part(&self, places: Places) -> Part {
        Part {
            segment: Arc::clone(&self.file),
            end: self.end,
            places,
        }
    }

    fn by_ordinals(&self, ordinals: Range<u32>) -> Part {
        self.part(match (&self.recent, &self.tables) {
            (None, Some(tables)) => Places::Ordinals(tables.clone(), ordinals),
            (recent, _) => {
                let offsets = recent.as_ref().map_or(&[][..], |recent| recent.offsets());
                let offset = |ordinal| Some((ordinal, *offsets.get(ordinal as usize)?));
                Places::Known(ordinals.filter_map(offset).collect())
            }
        })
    }
}

/// What two ranges share. Starts within `here` in any case.
fn within(wanted: &Range<u64>, here: &Range<u64>) -> Range<u64> {
    let start = wanted.start.clamp(here.start, here.end);
    start..wanted.end.clamp(start, here.end)
}

fn share(segment: u32, entry: &StreamEntry) -> Share {
    Share {
        segment,
        events: entry.events,
        start: entry.start,
    }
}

/// Adds to some shards what an index file says of them.
fn merge(
    streams: &mut [ByStream<Stream>],
    shards: &Range<usize>,
    header: &SegmentHeader,
    image: &Image,
) -> Result<(), Contradiction> {
    for entry in image.streams(shards.clone()) {
        let stream = streams[entry.key.shard() - shards.start]
            .entry(entry.key)
            .or_default();
        if stream.events != entry.first_revision {
            return Err(Contradiction {
                segment: header.number,
            });
        }
        stream.events += u64::from(entry.events);
        stream.last = header.first + u64::from(entry.last);
        stream.history.push(share(header.number, &entry));
    }
    Ok(())
}
