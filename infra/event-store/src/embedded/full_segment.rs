//! What becomes of a segment when it is full: its index file is made, and what is in memory of its
//! events is let go of. All of it happens in the background.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::data_folder::LogId;
use super::index::Index;
use super::index_file::{Facts, Image};
use super::index_folder::{IndexFolder, Tables};
use super::recent::Recent;
use super::stream_key::SHARDS;

/// A segment that gets no more frames.
pub(super) struct FullSegment {
    pub(super) log_id: LogId,
    pub(super) facts: Facts,
    /// Where its last frame ends.
    pub(super) end: u64,
    pub(super) recent: Arc<Recent>,
}

impl FullSegment {
    /// Makes its index file and lets the index use it. Without a file the same tables stay in
    /// memory.
    pub(super) fn settle(self, files: &Arc<IndexFolder>, index: &RwLock<Index>) {
        let number = self.facts.number;
        let image = Image::encode(&self.log_id, &self.facts, self.end, &self.recent);
        drop(self.recent);
        let in_file = match files.write(number, &image) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    file = %files.path(number).display(),
                    %error,
                    "cannot write the index file of a full segment; it is made when the log is opened again"
                );
                false
            }
        };
        let image = Arc::new(image);
        let tables = if in_file {
            Tables::in_file(files, number, &image)
        } else {
            Tables::in_memory(Arc::clone(&image))
        };
        write(index).set_tables(number, tables);
        for shard in 0..SHARDS {
            write(index).tell_shard(number, shard, &image);
        }
    }
}

fn write(index: &RwLock<Index>) -> RwLockWriteGuard<'_, Index> {
    index.write().unwrap_or_else(PoisonError::into_inner)
}
