//! Syncs one file while the caller syncs another: two waits for the disk cost as much as one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::StorageFile;

/// A thread that syncs what it is given, one file at a time. Ends when dropped.
pub(crate) struct SyncThread {
    files: SyncSender<Arc<dyn StorageFile>>,
    results: Receiver<io::Result<()>>,
}

impl SyncThread {
    pub(crate) fn start() -> io::Result<Self> {
        let (files, to_sync) = sync_channel::<Arc<dyn StorageFile>>(1);
        let (done, results) = sync_channel(1);
        std::thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || {
                while let Ok(file) = to_sync.recv() {
                    if done.send(file.sync()).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { files, results })
    }

    /// Syncs `aside` on the thread while `here` runs; both have ended when this returns.
    pub(crate) fn sync_while(
        &self,
        aside: Arc<dyn StorageFile>,
        here: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let gone = |_| io::Error::other("the thread that syncs files has ended");
        self.files
            .send(aside)
            .map_err(|_| io::Error::other("the thread that syncs files has ended"))?;
        let here = here();
        let aside = self.results.recv().map_err(gone)?;
        here.and(aside)
    }
}
