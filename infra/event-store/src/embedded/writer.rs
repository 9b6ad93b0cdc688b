//! The one thread that writes. It takes all appends that wait, makes them one batch, syncs once,
//! and answers them all: the more wait, the more share a sync.
//!
//! A write or sync that fails is final. What reached the disk is not known then, and asking again
//! would not tell: after a failed sync the kernel may report success for pages it has dropped. So
//! the writer stops, nothing is acknowledged any more, and the log is read anew at the next start.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Position, Revision};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::frame::{ChainHash, FrameBuilder};
use super::gathering::Gathering;
use super::index::{ByStream, StreamKey};
use super::recent::PayloadChanges;
use super::record;
use super::segment::{RollError, SegmentWriter};
use crate::follow::TailState;
use crate::payload_store::seal::SealedPayload;
use crate::payload_store::writer::PayloadWriter;
use crate::storage::is_out_of_space;

/// How many appends one batch takes at most.
const BATCH_APPENDS_MAX: usize = 1_024;
/// How large a batch of several appends gets. One append alone may be larger.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An append on its way to the writer, encoded already.
pub(super) struct Request {
    pub(super) key: StreamKey,
    pub(super) expected: Expected,
    /// How many records there are.
    pub(super) events: u32,
    pub(super) records: Vec<u8>,
    /// Payloads, each with the number of its event in the append.
    pub(super) payloads: Vec<(u32, SealedPayload)>,
    pub(super) erase: Vec<PayloadId>,
    pub(super) answer: Answer,
}

type Answer = oneshot::Sender<Result<Appended, LogError>>;

/// The writer's side of the log.
pub(super) struct Writer {
    pub(super) queue: mpsc::Receiver<Request>,
    pub(super) segments: SegmentWriter,
    pub(super) payloads: PayloadWriter,
    pub(super) shared: Arc<Shared>,
    pub(super) chain: ChainHash,
    pub(super) batch: Batch,
    pub(super) gathering: Gathering,
}

/// What the next sync will make durable.
pub(super) struct Batch {
    frame: FrameBuilder,
    /// The position its first event will have.
    first_position: u64,
    /// Where streams will end.
    ends: ByStream<Appended>,
    /// The stream of each event, and where in the frame its record starts.
    places: Vec<(StreamKey, u32)>,
    /// What the frame says about payloads.
    payloads: PayloadChanges,
    answers: Vec<(Answer, Result<Appended, LogError>)>,
}

impl Batch {
    pub(super) fn new(frame: FrameBuilder, first_position: u64) -> Self {
        Self {
            frame,
            first_position,
            ends: ByStream::default(),
            places: Vec::new(),
            payloads: PayloadChanges::default(),
            answers: Vec::new(),
        }
    }
}

/// What becomes of a request.
enum Admission {
    /// It is part of the batch, and will have this answer.
    Taken(Appended),
    /// It changes nothing.
    Answered(Result<Appended, LogError>),
    /// The batch must be written before it.
    AfterBatch,
}

/// The disk failed: the log has stopped.
struct Stopped(io::Error);

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// Says that the log has stopped if the writer panics.
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the thread that writes the event log panicked");
        }
    }
}

impl Writer {
    /// Writes until all senders are gone or the disk fails.
    pub(super) fn run(mut self) {
        let _guard = PanicGuard(Arc::clone(&self.shared));
        let mut incoming = Vec::with_capacity(BATCH_APPENDS_MAX);
        let mut waiting: VecDeque<Request> = VecDeque::new();
        loop {
            if waiting.is_empty() {
                if self
                    .queue
                    .blocking_recv_many(&mut incoming, BATCH_APPENDS_MAX)
                    == 0
                {
                    return self.close();
                }
            } else {
                while waiting.len() + incoming.len() < BATCH_APPENDS_MAX {
                    let Ok(request) = self.queue.try_recv() else {
                        break;
                    };
                    incoming.push(request);
                }
            }
            waiting.extend(incoming.drain(..));
            self.gather(&mut waiting);
            if let Err(Stopped(error)) = self.write_batch(&mut waiting) {
                self.stop(&error, waiting);
                return;
            }
        }
    }

    /// Waits a moment for those who will come anyway, so that they share the next sync.
    fn gather(&mut self, waiting: &mut VecDeque<Request>) {
        let Some(mut wait) = self.gathering.begin(waiting.len(), now()) else {
            return;
        };
        while wait.goes_on(waiting.len(), now()) {
            match self.queue.try_recv() {
                Ok(request) => {
                    waiting.push_back(request);
                    wait.came(now());
                }
                // It takes microseconds: no sleep is that short.
                Err(TryRecvError::Empty) => std::thread::yield_now(),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        self.gathering.end(&wait, waiting.len());
    }

    /// Ends in good order.
    fn close(self) {
        drop(self.payloads);
        let head = self.batch.first_position - 1;
        self.segments.close(head, self.chain);
    }

    /// Makes one batch of what waits and answers it. What does not fit stays.
    fn write_batch(&mut self, waiting: &mut VecDeque<Request>) -> Result<(), Stopped> {
        while let Some(request) = waiting.front() {
            let answer = match self.admit(request)? {
                Admission::Taken(appended) => Ok(appended),
                Admission::Answered(answer) => answer,
                Admission::AfterBatch => break,
            };
            if let Some(request) = waiting.pop_front() {
                self.batch.answers.push((request.answer, answer));
            }
        }
        let began = now();
        if !self.batch.frame.is_empty() {
            self.commit()?;
        }
        let (took, answered) = (now() - began, self.batch.answers.len());
        // Refusals wait for the sync as well: they may rest on what it makes durable.
        for (sender, answer) in self.batch.answers.drain(..) {
            // Nobody waits any more when the caller has gone away.
            drop(sender.send(answer));
        }
        let waiting = waiting.len() + self.queue.len();
        let expected = (answered + waiting).min(BATCH_APPENDS_MAX);
        self.gathering.answered(expected, took);
        Ok(())
    }

    fn admit(&mut self, request: &Request) -> Result<Admission, Stopped> {
        let end = self.end_of(&request.key);
        let as_expected = match request.expected {
            Expected::NoStream => end.is_none() && request.events > 0,
            Expected::Exact(revision) => end.is_some_and(|end| end.revision == revision),
        };
        if !as_expected {
            let actual = end.map(|end| end.revision);
            return Ok(Admission::Answered(Err(LogError::Conflict { actual })));
        }
        if let Some(end) = end
            && request.events == 0
            && request.erase.is_empty()
        {
            return Ok(Admission::Answered(Ok(end)));
        }
        if let Some(instead) = self.make_room(request)? {
            return Ok(instead);
        }
        self.take(request, end).map(Admission::Taken)
    }

    /// Where a stream ends, counting the batch.
    fn end_of(&self, key: &StreamKey) -> Option<Appended> {
        if let Some(end) = self.batch.ends.get(key) {
            return Some(*end);
        }
        let (events, last) = self.shared.reader.index().end_of(key)?;
        Some(Appended {
            revision: Revision(events - 1),
            position: Position::new(last, 0),
        })
    }

    /// Makes sure that everything the request needs fits; says what becomes of it when it does not.
    fn make_room(&mut self, request: &Request) -> Result<Option<Admission>, Stopped> {
        let frame = &self.batch.frame;
        let bytes = frame.bytes_with(request.records.len(), request.erase.len());
        let too_large = bytes > BATCH_BYTES_MAX || bytes as u64 > self.segments.room();
        // The frame lists what it erases behind all its events, so what is stored after an
        // erasure of the same id belongs into the next one.
        let mut payloads = request.payloads.iter();
        let stored_again = payloads.any(|(_, payload)| frame.erases(payload.id));
        if !frame.is_empty() && (too_large || stored_again) {
            return Ok(Some(Admission::AfterBatch));
        }
        if bytes as u64 > self.segments.room() {
            match self.roll() {
                Ok(()) => {}
                Err(RollError::NoSpace(error)) => return Ok(Some(no_space(&error))),
                Err(RollError::Failed(error)) => return Err(Stopped(error)),
            }
        }
        match self.payloads.make_room(&request.payloads) {
            Ok(()) => Ok(None),
            Err(error) if is_out_of_space(&error) => Ok(Some(no_space(&error))),
            Err(error) => Err(Stopped(error)),
        }
    }

    fn roll(&mut self) -> Result<(), RollError> {
        let first = self.batch.first_position;
        let index = &self.shared.reader.index;
        self.segments.roll(first, self.chain, index)
    }

    /// Takes a request into the batch.
    fn take(&mut self, request: &Request, end: Option<Appended>) -> Result<Appended, Stopped> {
        let batch = &mut self.batch;
        let first_position = batch.first_position + u64::from(batch.frame.events());
        for (number, payload) in &request.payloads {
            let position = first_position + u64::from(*number);
            self.payloads.store(payload, position)?;
            batch.payloads.stored.push((payload.id, position));
        }
        for id in &request.erase {
            self.payloads.erase(*id);
        }
        batch.payloads.erased.extend_from_slice(&request.erase);
        let mut at = batch.frame.add_records(&request.records, request.events);
        let mut rest = request.records.as_slice();
        while let Some(length) = record::length(rest) {
            let place = u32::try_from(at).expect("a frame is smaller than 4 GiB");
            batch.places.push((request.key, place));
            at += length;
            rest = &rest[length..];
        }
        batch.frame.add_erasures(&request.erase);
        let count = u64::from(request.events);
        let appended = match end {
            Some(end) if count == 0 => end,
            end => Appended {
                revision: Revision(end.map_or(0, |end| end.revision.0 + 1) + count - 1),
                position: Position::new(first_position + count - 1, 0),
            },
        };
        batch.ends.insert(request.key, appended);
        Ok(appended)
    }

    /// Makes the batch durable and visible, in this order: payloads and their keys, the events,
    /// the erasures. Only then may anyone see the events or be answered.
    fn commit(&mut self) -> Result<(), Stopped> {
        let batch = &mut self.batch;
        self.payloads.make_durable()?;
        let (frame, chain) = batch.frame.finish(batch.first_position, &self.chain);
        let start = self.segments.write(frame)?;
        self.payloads.publish()?;
        self.chain = chain;
        batch.first_position += u64::from(batch.frame.events());
        let start = u32::try_from(start).expect("segments are smaller than 4 GiB");
        {
            let mut index = self.shared.index_mut();
            for (key, place) in batch.places.drain(..) {
                index.add(key, start + place);
            }
            index.add_payloads(&batch.payloads);
            index.set_end(self.segments.end);
        }
        batch.payloads.clear();
        batch.ends.clear();
        batch.frame.clear();
        let head = Position::new(batch.first_position - 1, 0);
        self.shared.tail.send_modify(|tail| {
            tail.head = head;
            tail.chain = chain;
        });
        Ok(())
    }

    /// Refuses everything from now on.
    fn stop(&mut self, error: &io::Error, waiting: VecDeque<Request>) {
        tracing::error!(%error, "the disk failed: the event log has stopped");
        let reason = format!("the disk failed: {error}");
        self.shared.stop(&reason);
        let unknown = LogError::Unknown {
            reason: reason.clone(),
        };
        for (sender, _) in self.batch.answers.drain(..) {
            drop(sender.send(Err(unknown.clone())));
        }
        // The one that was being looked at may be part of what was written.
        let mut waiting = waiting.into_iter();
        if let Some(request) = waiting.next() {
            drop(request.answer.send(Err(unknown)));
        }
        self.queue.close();
        let fatal = LogError::Fatal { reason };
        for request in waiting {
            drop(request.answer.send(Err(fatal.clone())));
        }
        while let Ok(request) = self.queue.try_recv() {
            drop(request.answer.send(Err(fatal.clone())));
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "only paces batches; nothing that is stored depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

fn no_space(error: &io::Error) -> Admission {
    tracing::warn!(%error, "no room for the next segment: an append was refused");
    Admission::Answered(Err(LogError::StorageFull {
        reason: error.to_string(),
    }))
}

impl Shared {
    /// Lets everyone know that the log has stopped for good.
    pub(super) fn stop(&self, reason: &str) {
        let error = LogError::Fatal {
            reason: reason.to_owned(),
        };
        self.tail
            .send_modify(|tail| tail.state = TailState::Stopped(error));
    }
}
