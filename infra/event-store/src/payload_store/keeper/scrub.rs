//! Overwrites what is left of erased payloads.

use std::io;

use crate::payload_store::index::{PayloadIndex, Remains};
use crate::storage::{Access, Storage, StorageFile, is_out_of_space};

/// From this many bytes on a hole is punched, which gives the space back as well. Below, zeros are
/// cheaper: they change no metadata of the file.
const PUNCH_BYTES_MIN: u64 = 64 * 1024;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Overwrites `remains`, durably when it returns. Gives back what there was no room for, which
/// only happens on file systems that copy on write.
pub(super) fn scrub(
    storage: &dyn Storage,
    index: &PayloadIndex,
    mut remains: Vec<Remains>,
) -> io::Result<Vec<Remains>> {
    remains.sort_unstable();
    let mut refused = Vec::new();
    for segment in remains.chunk_by(|one, next| one.segment == next.segment) {
        let Some((path, _)) = index.segment(segment[0].segment) else {
            // It was removed: nothing in it was alive.
            continue;
        };
        let file = storage.open(&path, Access::ReadWrite)?;
        match overwrite_all(&*file, segment) {
            Ok(()) => {}
            Err(error) if is_out_of_space(&error) => {
                tracing::warn!(file = %path.display(), %error, "no room to overwrite erased payloads");
                refused.extend_from_slice(segment);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// Overwrites parts of one segment, which are sorted, durably; neighbours together.
pub(in crate::payload_store) fn overwrite_all(
    file: &dyn StorageFile,
    remains: &[Remains],
) -> io::Result<()> {
    let end = |remains: &Remains| u64::from(remains.offset) + u64::from(remains.bytes);
    for joined in remains.chunk_by(|one, next| u64::from(next.offset) <= end(one)) {
        let from = u64::from(joined[0].offset);
        let to = joined.iter().map(end).fold(from, u64::max);
        overwrite(file, from, to)?;
    }
    file.sync()
}

fn overwrite(file: &dyn StorageFile, from: u64, to: u64) -> io::Result<()> {
    if to - from >= PUNCH_BYTES_MIN {
        match file.punch(from, to - from) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if is_out_of_space(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let mut at = from;
    while at < to {
        let count = (to - at).min(ZEROS.len() as u64);
        let zeros = &ZEROS[..usize::try_from(count).expect("it is at most the length of ZEROS")];
        file.write_at(zeros, at)?;
        at += count;
    }
    Ok(())
}
