//! Loops to compare with: what the disk does at best, and what a log without batches would do.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::BenchError;
use super::contender::{Answer, Contender, Running, Writer};
use super::embedded::blocking;

/// How much of the file of [`RawSync`] is prepared; it is written round and round.
const PREPARED_BYTES: u64 = 16 * 1024 * 1024;

/// The disk itself: bytes into a prepared file and a sync, on the thread of the one writer. It
/// knows no streams, so it bounds what any log can do with one writer.
pub struct RawSync;

#[async_trait]
impl Contender for RawSync {
    fn name(&self) -> &'static str {
        "raw fdatasync"
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let path = folder.join("raw");
        let file = blocking(move || prepared(&path)).await??;
        Ok(Box::new(RunningRaw(Arc::new(file))))
    }
}

fn new_file(path: &Path) -> Result<File, BenchError> {
    File::create_new(path).map_err(BenchError::io("make", path))
}

fn prepared(path: &Path) -> Result<File, BenchError> {
    let file = new_file(path)?;
    let zeros = vec![0; PREPARED_BYTES as usize];
    file.write_all_at(&zeros, 0)
        .and_then(|()| file.sync_all())
        .map_err(BenchError::io("write", path))?;
    Ok(file)
}

struct RunningRaw(Arc<File>);

#[async_trait]
impl Running for RunningRaw {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        Ok(Box::new(RawWriter {
            file: Arc::clone(&self.0),
            at: 0,
        }))
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        Ok(())
    }
}

struct RawWriter {
    file: Arc<File>,
    at: u64,
}

#[async_trait]
impl Writer for RawWriter {
    async fn append(
        &mut self,
        _stream: &str,
        _expected: Option<u64>,
        _id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        if self.at + body.len() as u64 > PREPARED_BYTES {
            self.at = 0;
        }
        // Blocks this thread on purpose: there is one writer, and any hand-over would be measured.
        self.file
            .write_all_at(&body, self.at)
            .and_then(|()| self.file.sync_data())
            .map_err(BenchError::of("raw fdatasync"))?;
        self.at += body.len() as u64;
        Ok(Answer::Appended)
    }
}

/// A log without batches: one thread takes an event, writes it behind the last, syncs, answers, and
/// takes the next. It checks no revision and no id.
pub struct SyncEach;

#[async_trait]
impl Contender for SyncEach {
    fn name(&self) -> &'static str {
        "sync each event"
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let file = new_file(&folder.join("log"))?;
        let (queue, requests) = channel();
        let syncs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&syncs);
        let thread = std::thread::spawn(move || sync_each(&file, &requests, &counted));
        Ok(Box::new(RunningSyncEach {
            queue,
            syncs,
            thread,
        }))
    }
}

struct Request {
    body: Vec<u8>,
    answer: oneshot::Sender<std::io::Result<()>>,
}

fn sync_each(file: &File, requests: &Receiver<Request>, syncs: &AtomicU64) {
    let mut at = 0;
    while let Ok(request) = requests.recv() {
        let written = file
            .write_all_at(&request.body, at)
            .and_then(|()| file.sync_data());
        syncs.fetch_add(1, Ordering::Relaxed);
        at += request.body.len() as u64;
        // A writer that has gone away at the end of a round waits for no answer.
        drop(request.answer.send(written));
    }
}

struct RunningSyncEach {
    queue: Sender<Request>,
    syncs: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

#[async_trait]
impl Running for RunningSyncEach {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        Ok(Box::new(SyncEachWriter(self.queue.clone())))
    }

    fn syncs(&self) -> Option<u64> {
        Some(self.syncs.load(Ordering::Relaxed))
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        drop(self.queue);
        let thread = self.thread;
        let ended = blocking(move || thread.join()).await?;
        ended.map_err(|_| BenchError::Contender {
            contender: "sync each event".to_owned(),
            reason: "its thread panicked".to_owned(),
        })
    }
}

struct SyncEachWriter(Sender<Request>);

#[async_trait]
impl Writer for SyncEachWriter {
    async fn append(
        &mut self,
        _stream: &str,
        _expected: Option<u64>,
        _id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let failed = BenchError::of::<&str>("sync each event");
        let (answer, answered) = oneshot::channel();
        if self.0.send(Request { body, answer }).is_err() {
            return Err(failed("its thread has ended"));
        }
        match answered.await {
            Ok(written) => written
                .map(|()| Answer::Appended)
                .map_err(BenchError::of("sync each event")),
            Err(_) => Err(failed("its thread has ended")),
        }
    }
}
