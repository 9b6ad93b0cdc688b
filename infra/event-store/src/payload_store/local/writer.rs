//! The thread that writes a payload store of its own. As in the embedded log, all calls that wait
//! become one batch, and a write or sync that fails is final.

use std::collections::VecDeque;
use std::io;

use satpost_commands::ports::LogError;
use satpost_domain::PayloadId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::payload_store::seal::SealedPayload;
use crate::payload_store::writer::PayloadWriter;
use crate::storage::is_out_of_space;

/// How many calls one batch takes at most.
const BATCH_REQUESTS_MAX: usize = 1_024;
/// How large a batch of several calls gets. One call alone may be larger.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A call on its way to the writer.
pub(super) struct Request {
    /// What to store; the numbers mean nothing here.
    pub(super) store: Vec<(u32, SealedPayload)>,
    pub(super) erase: Vec<PayloadId>,
    pub(super) answer: Answer,
}

type Answer = oneshot::Sender<Result<(), LogError>>;

pub(super) struct Writer {
    pub(super) queue: mpsc::Receiver<Request>,
    pub(super) payloads: PayloadWriter,
    /// What the next payload is numbered with.
    pub(super) next_position: u64,
    /// Told why nothing more is written.
    pub(super) stop: watch::Sender<Option<String>>,
}

/// Says that the store has stopped if the writer panics.
struct PanicGuard(watch::Sender<Option<String>>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .send_replace(Some("the thread that writes payloads panicked".to_owned()));
        }
    }
}

impl Writer {
    /// Writes until all senders are gone or the disk fails.
    pub(super) fn run(mut self) {
        let _guard = PanicGuard(self.stop.clone());
        let mut incoming = Vec::with_capacity(BATCH_REQUESTS_MAX);
        loop {
            let count = self
                .queue
                .blocking_recv_many(&mut incoming, BATCH_REQUESTS_MAX);
            if count == 0 {
                return;
            }
            let mut waiting: VecDeque<Request> = incoming.drain(..).collect();
            while !waiting.is_empty() {
                let mut answers = Vec::new();
                match self.write_batch(&mut waiting, &mut answers) {
                    Ok(()) => {
                        for (answer, result) in answers {
                            // Nobody waits any more when the caller has gone away.
                            drop(answer.send(result));
                        }
                    }
                    Err(error) => {
                        self.fail(&error, answers, waiting);
                        return;
                    }
                }
            }
        }
    }

    /// Makes one batch of what waits, durably: payloads and their keys first, then erasures.
    fn write_batch(
        &mut self,
        waiting: &mut VecDeque<Request>,
        answers: &mut Vec<(Answer, Result<(), LogError>)>,
    ) -> io::Result<()> {
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX
            && let Some(request) = waiting.pop_front()
        {
            answers.push((request.answer, Ok(())));
            match self.payloads.make_room(&request.store) {
                Ok(()) => {}
                Err(error) if is_out_of_space(&error) => {
                    tracing::warn!(%error, "no room for payloads: they were refused");
                    if let Some((_, result)) = answers.last_mut() {
                        *result = Err(LogError::Unavailable {
                            reason: format!("there is no room on the disk: {error}"),
                        });
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            for (_, payload) in &request.store {
                bytes += payload.ciphertext.len();
                self.payloads.store(payload, self.next_position)?;
                self.next_position += 1;
            }
            for id in request.erase {
                self.payloads.erase(id);
            }
        }
        self.payloads.make_durable()?;
        self.payloads.publish()
    }

    /// Refuses everything from now on.
    fn fail(
        &mut self,
        error: &io::Error,
        answers: Vec<(Answer, Result<(), LogError>)>,
        waiting: VecDeque<Request>,
    ) {
        tracing::error!(%error, "the disk failed: the payload store has stopped");
        let reason = format!("the disk failed: {error}");
        self.stop.send_replace(Some(reason.clone()));
        for (answer, _) in answers {
            let reason = reason.clone();
            drop(answer.send(Err(LogError::Unknown { reason })));
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
