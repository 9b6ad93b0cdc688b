//! Where the events of one segment are, in memory: for the segment that is being written, and for
//! a full one until its index file is there. About 8 bytes an event, 65 bytes a stream that has
//! events in the segment, and 30 bytes a payload that was stored or erased in it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use satpost_domain::PayloadId;

use super::stream_key::{RandomKeys, Sharded, StreamKey};

/// The events of one segment. An event is named by its ordinal: how many of the segment's events
/// are before it.
#[derive(Default)]
pub(super) struct Recent {
    /// Where the record of each event starts.
    offsets: Vec<u32>,
    streams: Sharded<RecentStream>,
    payloads: HashMap<PayloadId, PayloadState, RandomKeys>,
}

/// What a frame says about payloads. All stores come before all erasures.
#[derive(Debug, Default)]
pub(super) struct PayloadChanges {
    /// Each with the position of its event.
    pub(super) stored: Vec<(PayloadId, u64)>,
    pub(super) erased: Vec<PayloadId>,
}

impl PayloadChanges {
    pub(super) fn clear(&mut self) {
        self.stored.clear();
        self.erased.clear();
    }
}

/// What a segment says about a payload in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PayloadState {
    /// Stored with the event of this ordinal and alive when the segment ends.
    Stored(u32),
    /// Erased.
    Erased,
}

/// The events of one stream in one segment.
pub(super) struct RecentStream {
    /// The revision of the first of them.
    pub(super) first_revision: u64,
    ordinals: Ordinals,
}

/// Most streams have one event in a segment, which then needs no list.
enum Ordinals {
    One([u32; 1]),
    Many(Vec<u32>),
}

impl RecentStream {
    /// At least one ordinal, ascending.
    pub(super) fn ordinals(&self) -> &[u32] {
        match &self.ordinals {
            Ordinals::One(ordinal) => ordinal,
            Ordinals::Many(ordinals) => ordinals,
        }
    }

    fn push(&mut self, ordinal: u32) {
        match &mut self.ordinals {
            Ordinals::One([first]) => self.ordinals = Ordinals::Many(vec![*first, ordinal]),
            Ordinals::Many(ordinals) => ordinals.push(ordinal),
        }
    }
}

impl Recent {
    /// How many events there are.
    pub(super) fn count(&self) -> u32 {
        // A segment has at most 1 GiB.
        self.offsets.len() as u32
    }

    /// Where the record of each event starts.
    pub(super) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    pub(super) fn streams(&self) -> &Sharded<RecentStream> {
        &self.streams
    }

    pub(super) fn payloads(&self) -> &HashMap<PayloadId, PayloadState, RandomKeys> {
        &self.payloads
    }

    /// Adds the next event. False, and nothing is added, when its revision does not follow the
    /// one before it in its stream.
    pub(super) fn add(&mut self, key: StreamKey, revision: u64, offset: u32) -> bool {
        let ordinal = self.count();
        match self.streams.entry(key) {
            Entry::Occupied(mut found) => {
                let stream = found.get_mut();
                if stream.first_revision + stream.ordinals().len() as u64 != revision {
                    return false;
                }
                stream.push(ordinal);
            }
            Entry::Vacant(place) => {
                place.insert(RecentStream {
                    first_revision: revision,
                    ordinals: Ordinals::One([ordinal]),
                });
            }
        }
        self.offsets.push(offset);
        true
    }

    /// Says what the segment says last about a payload so far.
    pub(super) fn set_payload(&mut self, id: PayloadId, state: PayloadState) {
        self.payloads.insert(id, state);
    }
}
