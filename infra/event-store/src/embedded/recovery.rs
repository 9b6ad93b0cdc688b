//! Reads the log when it is opened: builds the index, and finds the end.
//!
//! Full segments are opened from their index files; one without a right index file is read and
//! gets a new one. An index file is right when the hashes at both its ends are those that the
//! headers of its segment and of the next one name, and the last of them stands in the segment
//! itself. What an index file cannot tell, whether the bytes of events are still what they were,
//! shows when they are read, or in a verification of the log.
//!
//! The last segment is always read ([`super::last_segment`]). Damage that is found anywhere means
//! that nothing is opened and nothing is changed, but for index files that were made on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clean_mark::{self, CleanMark};
use super::data_folder::LogId;
use super::frame::ChainHash;
use super::index::{Contradiction, Index};
use super::index_folder::IndexFolder;
use super::last_segment::{self, Last};
use super::loading::{self, Loaded, Loading};
use super::recent::PayloadState;
use super::segment::{self, HEADER_BYTES, SegmentFile, SegmentHeader};
use crate::payload_store::recovery::Living;
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Access, OpenError, Storage, is_unfinished};

/// How many segments each thread has in memory at once, as index files.
const SEGMENTS_PER_THREAD: usize = 4;

/// The log as it was found.
pub(super) struct Recovered {
    pub(super) index: Index,
    /// The payloads that are alive.
    pub(super) living: Living,
    /// The hash that stands for the whole log.
    pub(super) chain: ChainHash,
    pub(super) last: Last,
    pub(super) files: Arc<IndexFolder>,
    /// Full segments with zeros behind their last frame, and where that ends.
    pub(super) untrimmed: Vec<(Arc<SegmentFile>, u64)>,
}

/// Reads the log in `folder`.
pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    folder: &Path,
    log_id: &LogId,
    access: Access,
) -> Result<Recovered, OpenError> {
    // Before the folder is listed: a process that writes can only have added to it since.
    let mark = clean_mark::read(&**storage, folder, log_id)?;
    let paths = segment_paths(&**storage, folder, access)?;
    if let Some(mark) = &mark
        && mark.number as usize > paths.len()
    {
        return Err(OpenError::Damaged {
            file: segment::path(folder, mark.number),
            offset: 0,
            reason: "the segment in which the log ended when it was closed is not there".to_owned(),
        });
    }
    let mut segments = Vec::with_capacity(paths.len());
    for (number, path) in (1..).zip(paths) {
        segments.push(Arc::new(open_segment(
            &**storage, log_id, number, path, access,
        )?));
    }
    let files = Arc::new(IndexFolder::new(Arc::clone(storage), folder));
    let mut loading = Loading {
        log_id,
        access,
        segments: &segments,
        files: &files,
        trusts_files: true,
    };
    let read = match read(&loading, mark.as_ref()) {
        Err(Failure::Contradiction(Contradiction { segment })) => {
            tracing::warn!(
                file = %files.path(segment).display(),
                "index files contradict each other; all of them are made again"
            );
            loading.trusts_files = false;
            read(&loading, mark.as_ref())
        }
        read => read,
    };
    read.map_err(|failure| match failure {
        Failure::Open(error) => error,
        Failure::Contradiction(Contradiction { segment }) => segments[segment as usize - 1]
            .damaged(0, "its streams do not follow those of the segments before"),
    })
}

/// Reads all segments.
fn read(loading: &Loading<'_>, mark: Option<&CleanMark>) -> Result<Recovered, Failure> {
    let (mut index, mut living) = (Index::default(), Living::default());
    let (mut untrimmed, mut rebuilt) = (Vec::new(), Rebuilt::default());
    let threads = loading::threads();
    let full = loading.segments.len() - 1;
    for batch in (0..full)
        .collect::<Vec<_>>()
        .chunks(threads * SEGMENTS_PER_THREAD)
    {
        let loaded = loading::in_parallel(batch, threads, |at| loading.load(*at));
        let mut full = Vec::with_capacity(batch.len());
        for loaded in loaded {
            let loaded = loaded?;
            rebuilt.count(loading.files, &loaded);
            if loaded.untrimmed {
                untrimmed.push((Arc::clone(&loaded.segment), loaded.image.end()));
            }
            for id in loaded.image.erased() {
                living.remove(&id);
            }
            let first = loaded.segment.header.first;
            let stored = loaded.image.stored();
            living.extend(stored.map(|(id, ordinal)| (id, first + u64::from(ordinal))));
            full.push((loaded.segment, loaded.image, loaded.tables));
        }
        index.add_full(full, threads)?;
    }
    rebuilt.tell();
    let segment = Arc::clone(&loading.segments[full]);
    let (last, scan) = last_segment::read(loading.log_id, segment, loading.access, mark)?;
    for (id, state) in scan.recent.payloads() {
        match state {
            PayloadState::Erased => living.remove(id),
            PayloadState::Stored(ordinal) => {
                let first = last.segment.header.first;
                living.insert(*id, first + u64::from(*ordinal))
            }
        };
    }
    index.add_last(Arc::clone(&last.segment), scan.recent, scan.end)?;
    Ok(Recovered {
        index,
        living,
        chain: scan.chain,
        last,
        files: Arc::clone(loading.files),
        untrimmed,
    })
}

/// Counts index files that had to be made again.
#[derive(Default)]
struct Rebuilt {
    files: usize,
    /// The first one, and what was wrong with it.
    first: Option<(PathBuf, String)>,
}

impl Rebuilt {
    fn count(&mut self, files: &IndexFolder, loaded: &Loaded) {
        if let Some(reason) = &loaded.rebuilt {
            self.files += 1;
            self.first.get_or_insert_with(|| {
                let number = loaded.segment.header.number;
                (files.path(number), reason.clone())
            });
        }
    }

    fn tell(&self) {
        if let Some((file, reason)) = &self.first {
            tracing::warn!(
                file = %file.display(),
                reason,
                log.rebuilt_files = self.files,
                "index files were not usable, of which this is the first; their segments were read instead"
            );
        }
    }
}

/// The segments in order. Files that were being prepared or replaced are removed.
fn segment_paths(
    storage: &dyn Storage,
    folder: &Path,
    access: Access,
) -> Result<Vec<PathBuf>, OpenError> {
    let mut paths = Vec::new();
    let found = storage
        .list(folder)
        .map_err(OpenError::io("list", folder))?;
    for path in found {
        let left_over = FilePreparer::is_left_over(&path) || is_unfinished(&path);
        if segment::number(&path).is_some() {
            paths.push(path);
        } else if left_over && access == Access::ReadWrite {
            storage
                .remove(&path)
                .map_err(OpenError::io("remove", &path))?;
        }
    }
    for (at, path) in paths.iter().enumerate() {
        let expected = u32::try_from(at + 1).ok();
        if segment::number(path) != expected {
            return Err(OpenError::Damaged {
                file: path.clone(),
                offset: 0,
                reason: format!("segment {} of the log is not there", at + 1),
            });
        }
    }
    if paths.is_empty() {
        return Err(OpenError::Damaged {
            file: segment::path(folder, 1),
            offset: 0,
            reason: "the first segment of the log is not there".to_owned(),
        });
    }
    Ok(paths)
}

fn open_segment(
    storage: &dyn Storage,
    log_id: &LogId,
    number: u32,
    path: PathBuf,
    access: Access,
) -> Result<SegmentFile, OpenError> {
    let file = storage
        .open(&path, access)
        .map_err(OpenError::io("open", &path))?;
    let mut bytes = [0; HEADER_BYTES];
    let read = file
        .read_at(&mut bytes, 0)
        .map_err(OpenError::io("read", &path))?;
    let header = SegmentHeader::decode(log_id, &bytes[..read]).filter(|header| {
        let begins = header.first == 1 && header.previous == [0; 32];
        header.number == number && (number > 1 || begins)
    });
    let Some(header) = header else {
        return Err(OpenError::Damaged {
            file: path,
            offset: 0,
            reason: "this is not the segment that follows".to_owned(),
        });
    };
    Ok(SegmentFile { header, path, file })
}

/// Why the log was not read.
enum Failure {
    Open(OpenError),
    Contradiction(Contradiction),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<Contradiction> for Failure {
    fn from(contradiction: Contradiction) -> Self {
        Self::Contradiction(contradiction)
    }
}
