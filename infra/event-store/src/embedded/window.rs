//! A part of a file in memory, moved along as places behind it are asked for.

use std::io;

use crate::storage::StorageFile;

/// How much of a file is in memory when all of it is read: little enough to stay in the cache of
/// a processor core, and enough that the calls for it do not count.
pub(super) const WINDOW_BYTES: usize = 512 * 1024;

/// The part in memory. Used for one file at a time.
pub(super) struct Window {
    size: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// A window of `size` bytes; more when more is asked for at once.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Forgets what it holds: what follows is another file.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// The `needed` bytes at `at`; nothing when the file ends before them. Reads nothing behind
    /// `end`.
    pub(super) fn bytes_at(
        &mut self,
        file: &dyn StorageFile,
        end: u64,
        at: u64,
        needed: usize,
    ) -> io::Result<Option<&[u8]>> {
        let held = self.start..self.start + self.bytes.len() as u64;
        if !(held.start <= at && at + needed as u64 <= held.end) {
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            self.move_to(file, at, self.size.max(needed).min(left))?;
        }
        let start = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(start..start.saturating_add(needed)))
    }

    /// Holds the `size` bytes at `at`, or as many as there are. Those it held before are not read
    /// again.
    fn move_to(&mut self, file: &dyn StorageFile, at: u64, size: usize) -> io::Result<()> {
        let skipped = at.checked_sub(self.start).map(usize::try_from);
        let kept = match skipped {
            Some(Ok(skipped)) if skipped < self.bytes.len() => {
                self.bytes.copy_within(skipped.., 0);
                size.min(self.bytes.len() - skipped)
            }
            _ => 0,
        };
        self.start = at;
        self.bytes.resize(size, 0);
        let read = file.read_at(&mut self.bytes[kept..], at + kept as u64);
        // After a failure nothing may be taken for what is in the file.
        self.bytes
            .truncate(read.as_ref().map_or(0, |read| kept + read));
        read.map(drop)
    }

    /// Where the first byte from `at` on is that is not zero; nothing when only zeros follow, or
    /// the file was cut in the meantime.
    pub(super) fn find_content(
        &mut self,
        file: &dyn StorageFile,
        end: u64,
        mut at: u64,
    ) -> io::Result<Option<u64>> {
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let length = left.min(WINDOW_BYTES);
            let Some(bytes) = self.bytes_at(file, end, at, length)? else {
                return Ok(None);
            };
            if let Some(found) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + found as u64));
            }
            at += length as u64;
        }
        Ok(None)
    }
}
