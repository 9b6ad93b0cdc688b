//! Reads a payload where the index says it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use satpost_domain::PayloadId;

use super::{PayloadIndex, Place};
use crate::payload_store::blob_segment::{FRAME_HEADER_BYTES, FrameHeader};
use crate::payload_store::key_file;
use crate::payload_store::seal::{self, BrokenSeal};
use crate::storage::StorageFile;

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadPayloadError {
    #[error("cannot read {}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged at byte {offset}: {source}", path.display())]
    Damaged {
        path: PathBuf,
        offset: u32,
        #[source]
        source: BrokenSeal,
    },
}

impl PayloadIndex {
    /// The bytes of a payload; nothing when it is unknown or erased.
    pub(crate) fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, ReadPayloadError> {
        let mut tried = None;
        loop {
            let (place, file, path) = {
                let index = self.read_index();
                let place = index.places.get(&id);
                let blob = place.and_then(|place| index.segments.get(&place.segment));
                let (Some(place), Some(blob)) = (place, blob) else {
                    return Ok(None);
                };
                (place, Arc::clone(&blob.file), blob.path.clone())
            };
            // A place is never used twice: it should have been right.
            if tried == Some(place) {
                return if self.foreign {
                    Ok(None)
                } else {
                    Err(ReadPayloadError::Damaged {
                        path,
                        offset: place.offset,
                        source: BrokenSeal,
                    })
                };
            }
            match self.open_at(id, place, &*file) {
                Ok(Some(payload)) => return Ok(Some(payload)),
                // Erased or replaced since the look at the index, or damaged.
                Ok(None) => tried = Some(place),
                Err(source) => return Err(ReadPayloadError::Io { path, source }),
            }
        }
    }

    /// Reads and decrypts what is at a place; nothing when it is not the payload.
    fn open_at(
        &self,
        id: PayloadId,
        place: Place,
        file: &dyn StorageFile,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(keys) = &self.keys else {
            return Ok(None);
        };
        let mut bytes = vec![0; FRAME_HEADER_BYTES + place.bytes as usize];
        let read = file.read_at(&mut bytes, place.offset.into())?;
        let header = FrameHeader::decode(&self.log_id, &bytes);
        let header = header.filter(|header| header.id == id && header.bytes == place.bytes);
        let Some(header) = header.filter(|_| read == bytes.len()) else {
            return Ok(None);
        };
        let record = key_file::read_slot(&**keys, place.slot)?;
        let Some(record) =
            record.filter(|record| record.id == id && record.position == header.position)
        else {
            return Ok(None);
        };
        bytes.drain(..FRAME_HEADER_BYTES);
        Ok(seal::open(id, &record.key, bytes).ok())
    }
}
