//! A part of a file in memory, moved along as places behind it are asked for.

use std::io;

use crate::storage::StorageFile;

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
            self.bytes.resize(self.size.max(needed).min(left), 0);
            self.start = at;
            let read = file.read_at(&mut self.bytes, at)?;
            self.bytes.truncate(read);
        }
        let start = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(start..start.saturating_add(needed)))
    }
}
