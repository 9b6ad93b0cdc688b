//! Replaces a small file whole: after a crash it is the old one or the new one, never a half.

use std::io;
use std::path::Path;

use super::Storage;

/// How much is written between two syncs: one large sync at the end would hold up everyone on the
/// disk.
const CHUNK_BYTES: usize = 1024 * 1024;
/// What is behind the name of a file until it is whole.
const UNFINISHED: &str = "tmp";

/// Writes `bytes` beside `path`, readable by its owner only on a disk, syncs, renames over `path`
/// and syncs the folder. The name has the old content or the new one at any time, and the new one
/// after a power cut when this has returned.
///
/// # Errors
/// The first failure; `path` is then as it was, or already new.
pub fn replace_file(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_added_extension(UNFINISHED);
    let written =
        write_whole(storage, &unfinished, bytes).and_then(|()| storage.rename(&unfinished, path));
    if let Err(error) = written {
        // It frees space; what cannot be removed now is written over the next time.
        drop(storage.remove(&unfinished));
        return Err(error);
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    storage.sync_folder(folder.unwrap_or(Path::new(".")))
}

fn write_whole(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = storage.create(path)?;
    let mut at = 0;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        file.write_at(chunk, at)?;
        file.sync()?;
        at += chunk.len() as u64;
    }
    Ok(())
}

/// True for the name of a file that was being replaced when the process ended.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == UNFINISHED)
}
