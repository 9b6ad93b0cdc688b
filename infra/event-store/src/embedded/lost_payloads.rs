//! `<data>/lost-payloads`: payloads that the log says are alive and that a restored backup did not
//! bring back. Without this list the log would be refused as damaged; with it, each of them is read
//! like one that was erased. Written once by a restore, never changed, and of no effect for what is
//! erased later.
//!
//! | bytes | content, numbers little-endian |
//! |---|---|
//! | 8 | magic |
//! | 16 | log id |
//! | 24 each | payload id, position of its event |
//! | 4 | CRC-32C of everything before |

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use satpost_domain::PayloadId;

use super::data_folder::LogId;
use crate::payload_store::recovery::Living;
use crate::storage::OpenError;

const NAME: &str = "lost-payloads";
const MAGIC: &[u8; 8] = b"SATPLST1";
const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 24;

/// The payloads that are known to be lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LostPayloads(pub(super) HashSet<(PayloadId, u64)>);

impl LostPayloads {
    /// Takes what is lost out of what is alive; gives how much that was.
    pub(super) fn take_out_of(&self, living: &mut Living) -> usize {
        let before = living.len();
        if !self.0.is_empty() {
            living.retain(|id, position| !self.0.contains(&(*id, *position)));
        }
        before - living.len()
    }

    /// Writes the list, durable except for its name. Without entries there is no file.
    pub(super) fn write(&self, folder: &Path, log_id: &LogId) -> Result<(), OpenError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.0.len() * ENTRY_BYTES + 4);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(log_id.as_bytes());
        for (id, position) in &self.0 {
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&position.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let path = folder.join(NAME);
        let written = || -> io::Result<()> {
            let mut file = File::create_new(&path)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        written().map_err(OpenError::io("write", &path))
    }
}

/// Reads the list of a data folder; it is empty where nothing was lost.
pub(super) fn read(folder: &Path, log_id: &LogId) -> Result<LostPayloads, OpenError> {
    let path = folder.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LostPayloads::default());
        }
        Err(error) => return Err(OpenError::io("read", &path)(error)),
    };
    decode(&bytes, log_id).ok_or_else(|| OpenError::Damaged {
        file: path,
        offset: 0,
        reason: "this is not the list of lost payloads of this log".to_owned(),
    })
}

fn decode(bytes: &[u8], log_id: &LogId) -> Option<LostPayloads> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    let (header, entries) = content.split_at_checked(HEADER_BYTES)?;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    let is_ours = header.starts_with(MAGIC) && header[8..] == log_id.as_bytes()[..];
    if !is_ours || !rest.is_empty() || crc32c::crc32c(content).to_le_bytes() != *checksum {
        return None;
    }
    let entry = |entry: &[u8; ENTRY_BYTES]| {
        let id = PayloadId::new(entry[..16].try_into().ok()?);
        let position = u64::from_le_bytes(entry[16..].try_into().ok()?);
        Some((id, position))
    };
    entries
        .iter()
        .map(entry)
        .collect::<Option<_>>()
        .map(LostPayloads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_refuses_any_other_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let log_id = LogId::from_bytes([1; 16]);
        assert_eq!(
            read(folder.path(), &log_id).unwrap(),
            LostPayloads::default()
        );
        let lost = LostPayloads(
            (1..4)
                .map(|n| (PayloadId::new([n; 16]), n.into()))
                .collect(),
        );
        lost.write(folder.path(), &log_id).unwrap();
        assert_eq!(read(folder.path(), &log_id).unwrap(), lost);
        assert!(read(folder.path(), &LogId::from_bytes([2; 16])).is_err());
        let path = folder.path().join(NAME);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(read(folder.path(), &log_id).is_err(), "byte {at}");
        }
    }
}
