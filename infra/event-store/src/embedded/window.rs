//! A part of a file in memory, moved along as places behind it are asked for.

use std::io;

use crate::storage::StorageFile;

/// How much of a file is in memory when all of it is read: little enough to stay in the cache of
/// a processor core, and enough that the calls for it do not count.
pub(super) const WINDOW_BYTES: usize = 256 * 1024;

/// The part in memory. Used for one file at a time.
pub(super) struct Window {
    size: usize,
    start: u64,
    /// How many of the bytes are those of the file.
    held: usize,
    /// Never made shorter: what is added to it has to be zeroed first.
    bytes: Vec<u8>,
}

impl Window {
    /// A window of `size` bytes; more when more is asked for at once.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            start: 0,
            held: 0,
            bytes: Vec::new(),
        }
    }

    /// Forgets what it holds: what follows is another file.
    pub(super) fn forget(&mut self) {
        self.held = 0;
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
        if at + needed as u64 > end {
            return Ok(None);
        }
        let held = self.start..self.start + self.held as u64;
        if !(held.start <= at && at + needed as u64 <= held.end) {
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            self.move_to(file, at, self.size.max(needed).min(left))?;
        }
        let start = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes[..self.held].get(start..start.saturating_add(needed)))
    }

    /// Holds the `size` bytes at `at`, or as many as there are. Those it held before are not read
    /// again.
    fn move_to(&mut self, file: &dyn StorageFile, at: u64, size: usize) -> io::Result<()> {
        let skipped = at.checked_sub(self.start).map(usize::try_from);
        let kept = match skipped {
            Some(Ok(skipped)) if skipped < self.held => {
                self.bytes.copy_within(skipped..self.held, 0);
                size.min(self.held - skipped)
            }
            _ => 0,
        };
        self.start = at;
        // After a failure nothing may be taken for what is in the file.
        self.held = 0;
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        let read = file.read_at(&mut self.bytes[kept..size], at + kept as u64)?;
        self.held = kept + read;
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::fault_storage::FaultStorage;
    use crate::storage::{Access, Storage as _};

    const FILE_BYTES: usize = 1_000;

    fn file() -> (FaultStorage, Arc<dyn StorageFile>) {
        let (folder, storage) = (tempfile::tempdir().unwrap(), FaultStorage::default());
        let path = folder.path().join("file");
        std::fs::write(&path, (0..FILE_BYTES).map(byte).collect::<Vec<_>>()).unwrap();
        let file = storage.open(&path, Access::Read).unwrap();
        (storage, file)
    }

    fn byte(at: usize) -> u8 {
        (at % 251) as u8 + 1
    }

    #[test]
    fn shows_what_is_in_the_file_wherever_it_is_moved() {
        let (_, file) = file();
        for size in [0, 1, 7, 64, 5_000] {
            let mut window = Window::new(size);
            // Forwards, backwards, overlapping, and behind the end.
            for step in 0..2_000 {
                let (at, needed) = (step * 37 % 1_100, step * 13 % 90);
                let seen = window.bytes_at(&*file, FILE_BYTES as u64, at as u64, needed);
                let expected: Vec<_> = (at..at + needed).map(byte).collect();
                let expected = (at + needed <= FILE_BYTES).then_some(expected.as_slice());
                if needed > 0 {
                    assert_eq!(seen.unwrap(), expected, "{needed} bytes at {at} by {size}");
                }
            }
        }
    }

    #[test]
    fn shows_nothing_that_a_failed_read_left_behind() {
        let (storage, file) = file();
        let mut window = Window::new(64);
        let end = FILE_BYTES as u64;
        assert!(window.bytes_at(&*file, end, 0, 64).unwrap().is_some());
        storage.fail_read_after(0);
        assert!(window.bytes_at(&*file, end, 32, 64).is_err());
        let seen = window.bytes_at(&*file, end, 32, 64).unwrap().unwrap();
        assert_eq!(seen, (32..96).map(byte).collect::<Vec<_>>());
    }
}
