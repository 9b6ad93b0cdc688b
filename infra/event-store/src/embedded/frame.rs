//! The form of a batch frame: what one sync makes durable. All numbers are little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic, the log's own |
//! | 4 | length of the whole frame |
//! | 4 | number of events, at least 1 unless payloads are erased |
//! | 8 | position of the first event, or of the next one when there is none |
//! | 32 | chain hash of the frame before |
//! | 4 | number of erased payloads |
//! | 4 | CRC-32C of the header so far |
//! | … | the records of the events |
//! | … | the ids of the erased payloads, and their CRC-32C when there are any |
//! | 32 | chain hash: SHA-256 of everything before it in the frame |
//!
//! Since the hash covers the hash of the frame before, the last one stands for the whole log.

use satpost_domain::PayloadId;
use sha2::{Digest as _, Sha256};

use super::data_folder::LogId;

/// How many bytes the header has.
pub(super) const HEADER_BYTES: usize = 64;
/// How many bytes the hash at the end has.
pub(super) const TRAILER_BYTES: usize = 32;
/// How many bytes a frame has beside records and erasures, at most.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + 4 + TRAILER_BYTES;
/// How many bytes one erasure takes.
pub(super) const ERASURE_BYTES: usize = 16;

/// SHA-256 over a frame and all before it.
pub(super) type ChainHash = [u8; 32];

/// Builds one frame in a buffer that is used again and again.
pub(super) struct FrameBuilder {
    log_id: LogId,
    bytes: Vec<u8>,
    events: u32,
    erased: Vec<PayloadId>,
}

impl FrameBuilder {
    pub(super) fn new(log_id: LogId) -> Self {
        Self {
            log_id,
            bytes: vec![0; HEADER_BYTES],
            events: 0,
            erased: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(HEADER_BYTES);
        self.events = 0;
        self.erased.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0 && self.erased.is_empty()
    }

    /// How many events are in it.
    pub(super) fn events(&self) -> u32 {
        self.events
    }

    /// How many bytes the frame would have with so many bytes of records and so many erasures more.
    pub(super) fn bytes_with(&self, records: usize, erasures: usize) -> usize {
        let erased = (self.erased.len() + erasures) * ERASURE_BYTES;
        self.bytes.len() + records + erased + 4 + TRAILER_BYTES
    }

    /// Adds `count` encoded records; gives where in the frame they start.
    pub(super) fn add_records(&mut self, records: &[u8], count: u32) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(records);
        self.events += count;
        start
    }

    /// Adds payloads that are erased.
    pub(super) fn add_erasures(&mut self, ids: &[PayloadId]) {
        self.erased.extend_from_slice(ids);
    }

    /// True when the frame erases this payload.
    pub(super) fn erases(&self, id: PayloadId) -> bool {
        self.erased.contains(&id)
    }

    /// Completes the frame. Gives it with its chain hash.
    pub(super) fn finish(
        &mut self,
        first_position: u64,
        previous: &ChainHash,
    ) -> (&[u8], ChainHash) {
        if !self.erased.is_empty() {
            let start = self.bytes.len();
            for id in &self.erased {
                self.bytes.extend_from_slice(id.as_bytes());
            }
            let checksum = crc32c::crc32c(&self.bytes[start..]);
            self.bytes.extend_from_slice(&checksum.to_le_bytes());
        }
        let length = u32::try_from(self.bytes.len() + TRAILER_BYTES)
            .expect("a frame is smaller than a segment");
        let erased = u32::try_from(self.erased.len()).expect("erasures fit in a frame");
        let header = &mut self.bytes[..HEADER_BYTES];
        header[..8].copy_from_slice(self.log_id.batch_magic());
        header[8..12].copy_from_slice(&length.to_le_bytes());
        header[12..16].copy_from_slice(&self.events.to_le_bytes());
        header[16..24].copy_from_slice(&first_position.to_le_bytes());
        header[24..56].copy_from_slice(previous);
        header[56..60].copy_from_slice(&erased.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..60]);
        header[60..].copy_from_slice(&checksum.to_le_bytes());
        let hash: ChainHash = Sha256::digest(&self.bytes).into();
        self.bytes.extend_from_slice(&hash);
        (&self.bytes, hash)
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Of the whole frame.
    pub(super) length: usize,
    pub(super) events: u32,
    pub(super) first_position: u64,
    pub(super) previous: ChainHash,
    pub(super) erased: u32,
}

impl FrameHeader {
    /// Nothing when no frame header is at the start of `bytes`.
    pub(super) fn decode(log_id: &LogId, bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        if &header[..8] != log_id.batch_magic() || crc32c::crc32c(&header[..60]) != word(60) {
            return None;
        }
        Some(Self {
            length: word(8) as usize,
            events: word(12),
            first_position: u64::from_le_bytes(header[16..24].try_into().ok()?),
            previous: header[24..56].try_into().ok()?,
            erased: word(56),
        })
    }
}

/// The parts of a frame whose header was decoded.
pub(super) struct FrameParts<'a> {
    /// Records, one after another.
    pub(super) records: &'a [u8],
    pub(super) erased: Vec<PayloadId>,
    /// The hash that stands at its end.
    pub(super) hash: ChainHash,
    /// What that hash is of.
    hashed: &'a [u8],
}

impl<'a> FrameParts<'a> {
    /// Nothing when the frame is not whole or the list of erasures is damaged. Records and hash
    /// are not looked at.
    pub(super) fn split(header: &FrameHeader, bytes: &'a [u8]) -> Option<Self> {
        let (hashed, hash) = bytes.get(..header.length)?.split_last_chunk()?;
        let body = hashed.get(HEADER_BYTES..)?;
        let erased_bytes = match header.erased as usize {
            0 => 0,
            count => count * ERASURE_BYTES + 4,
        };
        let (records, erased) = body.split_at_checked(body.len().checked_sub(erased_bytes)?)?;
        let mut ids = Vec::new();
        if let Some((list, checksum)) = erased.split_last_chunk::<4>() {
            if crc32c::crc32c(list).to_le_bytes() != *checksum {
                return None;
            }
            let (chunks, _) = list.as_chunks::<ERASURE_BYTES>();
            ids.extend(chunks.iter().map(|id| PayloadId::new(*id)));
        }
        Some(Self {
            records,
            erased: ids,
            hash: *hash,
            hashed,
        })
    }

    /// Whether the hash is that of the frame.
    pub(super) fn hash_is_right(&self) -> bool {
        Sha256::digest(self.hashed).as_slice() == self.hash.as_slice()
    }
}

/// Whether the whole header of a frame is anywhere in `bytes`. Batches are written one after another,
/// each when the one before is durable: what is before a frame was durable, too.
pub(super) fn header_follows(log_id: &LogId, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = find(rest, log_id.batch_magic()) {
        if FrameHeader::decode(log_id, &rest[at..]).is_some() {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Where `magic` is in `bytes` for the first time.
pub(crate) fn find(bytes: &[u8], magic: &[u8; 8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == magic[0]) {
        let at = from + at;
        if bytes[at..].starts_with(magic) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
