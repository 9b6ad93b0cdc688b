//! An event log on fjall, a log-structured storage engine: what we would have if the log were not
//! our own. Done as well as it can be: one thread takes all appends that wait, makes them one batch
//! with one sync, and keeps where streams end in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::{Answer, Contender, Running, Writer};
use tokio::sync::oneshot;

const NAME: &str = "fjall";
/// As many as our log takes into a batch.
const BATCH_APPENDS_MAX: usize = 1_024;

/// fjall with its defaults.
pub(crate) struct Fjall;

#[async_trait]
impl Contender for Fjall {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let log = FjallLog::open(folder).map_err(BenchError::of(NAME))?;
        let (queue, requests) = channel();
        let thread = std::thread::spawn(move || log.run(&requests));
        Ok(Box::new(RunningFjall { queue, thread }))
    }
}

struct Request {
    stream: String,
    expected: Option<u64>,
    id: [u8; 16],
    body: Vec<u8>,
    answer: oneshot::Sender<Result<Answer, String>>,
}

/// Position to event; stream and revision to position; id to position.
struct FjallLog {
    database: Database,
    events: Keyspace,
    by_stream: Keyspace,
    by_id: Keyspace,
    /// How many events each stream has.
    lengths: HashMap<String, u64>,
    next: u64,
}

impl FjallLog {
    fn open(folder: &Path) -> fjall::Result<Self> {
        let database = Database::builder(folder).open()?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        Ok(Self {
            events: keyspace("events")?,
            by_stream: keyspace("by_stream")?,
            by_id: keyspace("by_id")?,
            lengths: HashMap::new(),
            next: 1,
            database,
        })
    }

    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let waiting = std::iter::once(first).chain(requests.try_iter());
            let batch: Vec<_> = waiting.take(BATCH_APPENDS_MAX).collect();
            let committed = self.commit(&batch);
            for (number, request) in batch.into_iter().enumerate() {
                let answer = match &committed {
                    Ok(answers) => Ok(answers[number]),
                    Err(error) => Err(error.to_string()),
                };
                // A writer that has gone away at the end of a round waits for no answer.
                drop(request.answer.send(answer));
            }
        }
    }

    fn commit(&mut self, requests: &[Request]) -> fjall::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for request in requests {
            let length = self.lengths.entry(request.stream.clone()).or_default();
            if request.expected.map_or(0, |revision| revision + 1) != *length {
                answers.push(Answer::Conflict);
                continue;
            }
            let position = self.next.to_be_bytes();
            let mut place = request.stream.clone().into_bytes();
            place.extend_from_slice(&length.to_be_bytes());
            let mut event = place.clone();
            event.extend_from_slice(&request.id);
            event.extend_from_slice(&request.body);
            batch.insert(&self.events, position, event);
            batch.insert(&self.by_stream, place, position);
            batch.insert(&self.by_id, request.id, position);
            *length += 1;
            self.next += 1;
            answers.push(Answer::Appended);
        }
        batch.commit()?;
        Ok(answers)
    }
}

struct RunningFjall {
    queue: Sender<Request>,
    thread: JoinHandle<()>,
}

#[async_trait]
impl Running for RunningFjall {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        Ok(Box::new(FjallWriter(self.queue.clone())))
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        drop(self.queue);
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        match ended.map_err(BenchError::of(NAME))? {
            Ok(()) => Ok(()),
            Err(_) => Err(BenchError::of(NAME)("its thread panicked")),
        }
    }
}

struct FjallWriter(Sender<Request>);

#[async_trait]
impl Writer for FjallWriter {
    async fn append(
        &mut self,
        stream: &str,
        expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            stream: stream.to_owned(),
            expected,
            id,
            body,
            answer,
        };
        self.0.send(request).map_err(BenchError::of(NAME))?;
        let answer = answered.await.map_err(BenchError::of(NAME))?;
        answer.map_err(BenchError::of(NAME))
    }
}
