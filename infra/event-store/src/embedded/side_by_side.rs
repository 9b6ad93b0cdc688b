//! Segments read side by side by tools that go through a whole log: several threads read, one takes
//! what they found, in the order of the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::storage::OpenError;

/// Reads `files` on `threads` threads: `read` is given the number and the path of a segment and
/// answers with what it found and how many bytes the file has; `take` is given what was found, in
/// order. Each thread keeps a `State` of its own over all its segments, for what does not depend on
/// their order; all of them are given back. `progress` is told how many bytes of how many are done.
///
/// # Errors
/// One of the errors of `read`; nothing is taken any more then.
pub(super) fn side_by_side<State: Default + Send, Found: Send>(
    files: &BTreeMap<u32, PathBuf>,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
    read: impl Fn(&mut State, u32, &Path) -> Result<(Found, u64), OpenError> + Sync,
    mut take: impl FnMut(Found),
) -> Result<Vec<State>, OpenError> {
    let files: Vec<_> = files.iter().collect();
    let sizes = files.iter().map(|(_, path)| path.metadata());
    let total: u64 = sizes.flatten().map(|metadata| metadata.len()).sum();
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let (sender, found) = mpsc::sync_channel(threads);
    let work = |sender: mpsc::SyncSender<_>| {
        let mut state = State::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((number, path)) = files.get(at) else {
                return state;
            };
            let read = read(&mut state, **number, path).map(|(found, bytes)| {
                let bytes = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
                progress(bytes.min(total), total);
                found
            });
            if sender.send((at, read)).is_err() {
                return state;
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(files.len()))
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(|| work(sender))
            })
            .collect();
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut wanted = 0;
        for (at, read) in found {
            waiting.insert(at, read?);
            while let Some(found) = waiting.remove(&wanted) {
                take(found);
                wanted += 1;
            }
        }
        let ended = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        Ok(ended
            .map(|state| state.expect("reading a segment does not panic"))
            .collect())
    })
}
