//! The form of an index file: where the events of one full segment are, so that the segment need
//! not be read to be opened. All numbers are little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `SATPIDX\n` |
//! | 4 | version of this form, 1 |
//! | 4 | number of the segment |
//! | 16 | id of the log |
//! | 8 | position of the first event |
//! | 8 | where in the segment the last frame ends |
//! | 4, 4 | number of events, number of streams |
//! | 4, 4 | number of payloads stored, number of payloads erased |
//! | 32 | chain hash before the first frame |
//! | 32 | chain hash of the last frame |
//! | 4 | CRC-32C of everything behind the header |
//! | 4 | CRC-32C of the header so far |
//! | 4 for each event | where its record starts in the segment, by position |
//! | 32 for each stream | key (16), revision of its first event here (8), where its places start in the next table (4), ordinal of its last event here (4); by key |
//! | 8 for each event | where its record starts (4), its ordinal (4); by stream and revision |
//! | 20 for each payload stored | its id, the ordinal of its event; by id |
//! | 16 for each payload erased | its id; by id |
//!
//! An ordinal counts the events of the segment from 0. A payload is in one of the two lists: as
//! the segment leaves it. The same segment always gives the same bytes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use satpost_domain::PayloadId;

use super::data_folder::LogId;
use super::frame::ChainHash;
use super::recent::{PayloadState, Recent};
use super::stream_key::{KEY_BYTES, StreamKey};

const MAGIC: &[u8; 8] = b"SATPIDX\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 136;
const OFFSET_BYTES: usize = 4;
const STREAM_BYTES: usize = KEY_BYTES + 8 + 4 + 4;
const PLACE_BYTES: usize = 8;
const ID_BYTES: usize = 16;
const STORED_BYTES: usize = ID_BYTES + 4;

/// The path of the index file of a segment.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.idx"))
}

/// What is known of a full segment from its header and the one that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// The number of the segment.
    pub(super) number: u32,
    /// The position of its first event.
    pub(super) first: u64,
    /// How many events it has.
    pub(super) count: u32,
    /// The chain hash of the last frame of the segment before.
    pub(super) before: ChainHash,
    /// The chain hash of its last frame.
    pub(super) after: ChainHash,
}

/// Where the tables of an index file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    count: u32,
    streams: u32,
    stored: u32,
    erased: u32,
}

impl Layout {
    /// How many events the segment has.
    pub(super) fn count(self) -> u32 {
        self.count
    }

    fn streams_at(self) -> usize {
        HEADER_BYTES + self.count as usize * OFFSET_BYTES
    }

    fn places_at(self) -> usize {
        self.streams_at() + self.streams as usize * STREAM_BYTES
    }

    fn stored_at(self) -> usize {
        self.places_at() + self.count as usize * PLACE_BYTES
    }

    fn erased_at(self) -> usize {
        self.stored_at() + self.stored as usize * STORED_BYTES
    }

    fn end(self) -> usize {
        self.erased_at() + self.erased as usize * ID_BYTES
    }

    /// Where it says where the records of these ordinals start.
    pub(super) fn offsets(self, ordinals: &Range<u32>) -> Range<usize> {
        let at = |ordinal: u32| HEADER_BYTES + ordinal.min(self.count) as usize * OFFSET_BYTES;
        at(ordinals.start)..at(ordinals.end)
    }

    /// Where these places of streams are.
    pub(super) fn places(self, places: &Range<u32>) -> Range<usize> {
        let at = |place: u32| self.places_at() + place.min(self.count) as usize * PLACE_BYTES;
        at(places.start)..at(places.end)
    }
}

/// What [`Layout::offsets`] points to.
pub(super) fn decode_offsets(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let (words, _) = bytes.as_chunks::<OFFSET_BYTES>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}

/// What [`Layout::places`] points to: ordinals and where their records start.
pub(super) fn decode_places(bytes: &[u8]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let (places, _) = bytes.as_chunks::<PLACE_BYTES>();
    places.iter().map(|place| (word(place, 4), word(place, 0)))
}

/// What a file says about one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamEntry {
    pub(super) key: StreamKey,
    /// The revision of its first event in the segment.
    pub(super) first_revision: u64,
    /// Where its places start, counted in places.
    pub(super) start: u32,
    /// How many events it has in the segment.
    pub(super) events: u32,
    /// The ordinal of the last of them.
    pub(super) last: u32,
}

/// A whole index file in memory.
pub(super) struct Image {
    bytes: Vec<u8>,
    layout: Layout,
    end: u64,
}

impl Image {
    /// Makes the index file of a full segment whose last frame ends at `end`.
    pub(super) fn encode(log_id: &LogId, facts: &Facts, end: u64, recent: &Recent) -> Self {
        let mut payloads: Vec<_> = recent.payloads().iter().collect();
        payloads.sort_unstable_by_key(|(id, _)| *id.as_bytes());
        let is_stored = |state: &PayloadState| matches!(state, PayloadState::Stored(_));
        let stored = payloads
            .iter()
            .filter(|(_, state)| is_stored(state))
            .count();
        let number = |count: usize| u32::try_from(count).expect("a segment has at most 1 GiB");
        let layout = Layout {
            count: recent.count(),
            streams: number(recent.streams().len()),
            stored: number(stored),
            erased: number(payloads.len() - stored),
        };
        let mut bytes = Vec::with_capacity(layout.end());
        bytes.resize(HEADER_BYTES, 0);
        for offset in recent.offsets() {
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        encode_streams(&mut bytes, recent);
        for (id, state) in &payloads {
            if let PayloadState::Stored(ordinal) = state {
                bytes.extend_from_slice(id.as_bytes());
                bytes.extend_from_slice(&ordinal.to_le_bytes());
            }
        }
        for (id, _) in payloads.iter().filter(|(_, state)| !is_stored(state)) {
            bytes.extend_from_slice(id.as_bytes());
        }
        let body = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        bytes[..HEADER_BYTES].copy_from_slice(&header(log_id, facts, end, layout, body));
        Self { bytes, layout, end }
    }

    /// Takes what was read from an index file. Nothing when it is not that of the segment that
    /// `facts` tell of, or not as it was written.
    pub(super) fn decode(log_id: &LogId, facts: &Facts, bytes: Vec<u8>) -> Option<Self> {
        let found = bytes.get(..HEADER_BYTES)?;
        let layout = Layout {
            count: word(found, 48),
            streams: word(found, 52),
            stored: word(found, 56),
            erased: word(found, 60),
        };
        let (end, body) = (long(found, 40), word(found, 128));
        if found != header(log_id, facts, end, layout, body)
            || bytes.len() != layout.end()
            || crc32c::crc32c(&bytes[HEADER_BYTES..]) != body
        {
            return None;
        }
        Some(Self { bytes, layout, end })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Where in the segment the last frame ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The streams whose keys belong to these tables, by key.
    pub(super) fn streams(&self, shards: Range<usize>) -> impl Iterator<Item = StreamEntry> + '_ {
        let table = &self.bytes[self.layout.streams_at()..self.layout.places_at()];
        let (entries, _) = table.as_chunks::<STREAM_BYTES>();
        let first = |shard: usize| entries.partition_point(|entry| usize::from(entry[0]) < shard);
        let count = self.layout.count;
        (first(shards.start)..first(shards.end)).map(move |at| {
            let entry = &entries[at];
            let start = word(entry, 24);
            let next = entries.get(at + 1).map_or(count, |next| word(next, 24));
            StreamEntry {
                key: StreamKey::from_bytes(*entry.first_chunk().expect("entries are longer")),
                first_revision: long(entry, 16),
                start,
                events: next.saturating_sub(start),
                last: word(entry, 28),
            }
        })
    }

    /// Payloads that were stored in the segment and are alive at its end, with the ordinals of
    /// their events.
    pub(super) fn stored(&self) -> impl Iterator<Item = (PayloadId, u32)> + '_ {
        let table = &self.bytes[self.layout.stored_at()..self.layout.erased_at()];
        let (entries, _) = table.as_chunks::<STORED_BYTES>();
        entries.iter().map(|entry| {
            let id = entry.first_chunk().expect("entries are longer");
            (PayloadId::new(*id), word(entry, ID_BYTES))
        })
    }

    /// Payloads that are erased at the end of the segment.
    pub(super) fn erased(&self) -> impl Iterator<Item = PayloadId> + '_ {
        let table = &self.bytes[self.layout.erased_at()..];
        let (ids, _) = table.as_chunks::<ID_BYTES>();
        ids.iter().map(|id| PayloadId::new(*id))
    }
}

fn header(
    log_id: &LogId,
    facts: &Facts,
    end: u64,
    layout: Layout,
    body: u32,
) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&facts.number.to_le_bytes());
    bytes[16..32].copy_from_slice(log_id.as_bytes());
    bytes[32..40].copy_from_slice(&facts.first.to_le_bytes());
    bytes[40..48].copy_from_slice(&end.to_le_bytes());
    bytes[48..52].copy_from_slice(&facts.count.to_le_bytes());
    bytes[52..56].copy_from_slice(&layout.streams.to_le_bytes());
    bytes[56..60].copy_from_slice(&layout.stored.to_le_bytes());
    bytes[60..64].copy_from_slice(&layout.erased.to_le_bytes());
    bytes[64..96].copy_from_slice(&facts.before);
    bytes[96..128].copy_from_slice(&facts.after);
    bytes[128..132].copy_from_slice(&body.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..132]);
    bytes[132..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Appends the table of streams and the table of their places.
fn encode_streams(bytes: &mut Vec<u8>, recent: &Recent) {
    let mut places = Vec::with_capacity(recent.offsets().len() * PLACE_BYTES);
    let mut sorted = Vec::new();
    for shard in recent.streams().shards() {
        sorted.clear();
        sorted.extend(shard.iter());
        sorted.sort_unstable_by_key(|(key, _)| *key);
        for (key, stream) in &sorted {
            let start = (places.len() / PLACE_BYTES) as u32;
            let ordinals = stream.ordinals();
            let last = ordinals.last().copied().unwrap_or_default();
            bytes.extend_from_slice(key.as_bytes());
            bytes.extend_from_slice(&stream.first_revision.to_le_bytes());
            bytes.extend_from_slice(&start.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
            for ordinal in ordinals {
                places.extend_from_slice(&recent.offsets()[*ordinal as usize].to_le_bytes());
                places.extend_from_slice(&ordinal.to_le_bytes());
            }
        }
    }
    bytes.append(&mut places);
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes[at..].first_chunk().expect("the length was checked");
    u32::from_le_bytes(*word)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let long = bytes[at..].first_chunk().expect("the length was checked");
    u64::from_le_bytes(*long)
}

#[cfg(test)]
mod tests;
