//! The form of blob segments: a header, then one frame after another, each with a header and a
//! ciphertext. Frames are never changed; what is left of erased ones is overwritten with zeros. A
//! segment gets no more frames after the process that began it has ended.

use std::path::{Path, PathBuf};

use satpost_domain::PayloadId;

use super::key_file::Slot;
use crate::embedded::data_folder::LogId;

/// How many bytes the header of a segment has.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 48;
/// How many bytes the header of a frame has.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
/// What a segment for copies is called until its header is durable: like a file that is being
/// prepared, so that it is removed when the store is opened.
pub(crate) const UNNAMED: &str = "prepared-copies";
const MAGIC: &[u8; 8] = b"SATPBLB\n";
const VERSION: u32 = 1;

/// The path of a segment.
pub(crate) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.blob"))
}

/// The number in a segment's name; nothing for other files.
pub(crate) fn number(path: &Path) -> Option<u32> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".blob")?
        .parse()
        .ok()
}

/// The header of segment `number`.
pub(crate) fn segment_header(log_id: &LogId, number: u32) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..32].copy_from_slice(log_id.as_bytes());
    let checksum = crc32c::crc32c(&bytes[..44]);
    bytes[44..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) id: PayloadId,
    /// The position of the event that the payload belongs to.
    pub(crate) position: u64,
    /// Where its key is.
    pub(crate) slot: Slot,
    /// How many bytes the ciphertext has.
    pub(crate) bytes: u32,
    /// CRC-32C of the ciphertext, for checks that have no key.
    pub(crate) checksum: u32,
}

impl FrameHeader {
    /// The magic is the log's own, so that no payload can contain what looks like a frame.
    pub(crate) fn encode(&self, log_id: &LogId) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..8].copy_from_slice(log_id.blob_magic());
        bytes[8..24].copy_from_slice(self.id.as_bytes());
        bytes[24..32].copy_from_slice(&self.position.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.slot.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..44]);
        bytes[44..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Nothing when there is no whole frame header at the start of `bytes`.
    pub(crate) fn decode(log_id: &LogId, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?))
        };
        if &bytes[..8] != log_id.blob_magic() || word(44)? != crc32c::crc32c(&bytes[..44]) {
            return None;
        }
        Some(Self {
            id: PayloadId::new(bytes[8..24].try_into().ok()?),
            position: u64::from_le_bytes(bytes[24..32].try_into().ok()?),
            slot: word(32)?,
            bytes: word(36)?,
            checksum: word(40)?,
        })
    }
}
