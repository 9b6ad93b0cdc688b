//! Loads full segments when the log is opened: from their index files, or by reading them, several
//! at a time.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::data_folder::LogId;
use super::index_file::{Facts, Image};
use super::index_folder::{IndexFolder, Tables};
use super::scan;
use super::segment::{HEADER_BYTES, SegmentFile};
use crate::storage::{Access, OpenError, read_whole};

/// How many threads read segments at most.
const THREADS_MAX: usize = 8;

/// What loading needs to know.
pub(super) struct Loading<'a> {
    pub(super) log_id: &'a LogId,
    pub(super) access: Access,
    /// All of them: the last one is not full.
    pub(super) segments: &'a [Arc<SegmentFile>],
    pub(super) files: &'a Arc<IndexFolder>,
    /// Whether index files are used at all.
    pub(super) trusts_files: bool,
}

/// A full segment.
pub(super) struct Loaded {
    pub(super) segment: Arc<SegmentFile>,
    pub(super) image: Arc<Image>,
    pub(super) tables: Tables,
    /// Why its index file was not used.
    pub(super) rebuilt: Option<String>,
    /// Whether there is something behind its last frame.
    pub(super) untrimmed: bool,
}

impl Loading<'_> {
    /// Loads one of the segments, not the last one.
    pub(super) fn load(&self, at: usize) -> Result<Loaded, OpenError> {
        let (segment, next) = (&self.segments[at], &self.segments[at + 1]);
        let facts = facts(segment, next)?;
        let len = segment
            .file
            .len()
            .map_err(OpenError::io("read", &segment.path))?;
        let number = facts.number;
        let (image, tables, rebuilt) = match self.in_file(segment, &facts, len) {
            Ok(image) => {
                let tables = Tables::in_file(self.files, number, &image);
                (Arc::new(image), tables, None)
            }
            Err(reason) => {
                let found = scan::full_segment(self.log_id, segment, next)?;
                let image = Image::encode(self.log_id, &facts, found.end, &found.recent);
                let image = Arc::new(image);
                let tables = if self.write(number, &image) {
                    Tables::in_file(self.files, number, &image)
                } else {
                    Tables::in_memory(Arc::clone(&image))
                };
                (image, tables, Some(reason))
            }
        };
        Ok(Loaded {
            segment: Arc::clone(segment),
            untrimmed: len > image.end(),
            image,
            tables,
            rebuilt,
        })
    }

    /// The index file of a segment, or why it cannot be used.
    fn in_file(&self, segment: &SegmentFile, facts: &Facts, len: u64) -> Result<Image, String> {
        if !self.trusts_files {
            return Err("it contradicts another one".to_owned());
        }
        let file = self.files.file(facts.number);
        let bytes = file.and_then(|file| read_whole(&*file));
        let bytes = bytes.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "it is not there".to_owned(),
            _ => format!("it cannot be read: {error}"),
        })?;
        let image = Image::decode(self.log_id, facts, bytes)
            .ok_or("it is damaged, or that of another segment or log")?;
        // The hash that stands at the end of the segment binds the two together.
        let mut hash = facts.before;
        let start = image.end().saturating_sub(hash.len() as u64);
        if image.end() > HEADER_BYTES as u64 {
            let read = segment.file.read_at(&mut hash, start);
            if image.end() > len || read.ok() != Some(hash.len()) {
                return Err("it tells of more than the segment has".to_owned());
            }
        }
        if hash == facts.after {
            Ok(image)
        } else {
            Err("it is not that of this segment".to_owned())
        }
    }

    /// Whether the index file was written.
    fn write(&self, number: u32, image: &Image) -> bool {
        if self.access == Access::Read {
            return false;
        }
        let written = self.files.write(number, image);
        if let Err(error) = &written {
            tracing::warn!(
                file = %self.files.path(number).display(),
                %error,
                "cannot write an index file; it is made when the log is opened again"
            );
        }
        written.is_ok()
    }
}

/// What the headers of a segment and the next one say.
fn facts(segment: &SegmentFile, next: &SegmentFile) -> Result<Facts, OpenError> {
    let count = next.header.first.checked_sub(segment.header.first);
    let count = count.and_then(|count| u32::try_from(count).ok());
    Ok(Facts {
        number: segment.header.number,
        first: segment.header.first,
        count: count.ok_or_else(|| next.damaged(0, "this is not the segment that follows"))?,
        before: segment.header.previous,
        after: next.header.previous,
    })
}

/// How many threads are of use here.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get().min(THREADS_MAX))
}

/// Does the same work on all items, with several threads; the results are in the order of the
/// items.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return;
            };
            let result = work(item);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
