//! Servers on one log, and people who repeat a command until it is answered.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use satpost_commands::CommandError;
use satpost_commands::acknowledge_messages::{Acknowledgement, acknowledge_messages};
use satpost_commands::handler::{CommandContext, Handler};
use satpost_commands::park_messages::park_messages;
use satpost_commands::ports::EventLog;
use satpost_commands::processes::expiry::expire_mailboxes;
use satpost_commands::send_message::{AcceptedMessage, send_message};
use satpost_commands::testing::{CountingIds, FaultyLog, StepClock, posting};
use satpost_commands::wipe_queue::wipe_queue;
use satpost_domain::mailbox::ParkReason;
use satpost_domain::{CommandId, Envelope, RequestDigest, StreamId, Timestamp};

use super::KEY;
use super::plan::{Plan, SERVERS, Step};
use super::queue::Queue;

/// How often one command may be repeated before the test is at fault.
const REPEATS_MAX: usize = 2_000;
/// How often one command is cut off before it is left alone.
const CUTS_MAX: usize = 10;

/// Several servers on one log.
pub(super) struct Cluster {
    pub(super) log: Arc<FaultyLog>,
    pub(super) clock: Arc<StepClock>,
    ids: Arc<CountingIds>,
    pub(super) servers: Mutex<Vec<Handler>>,
    pub(super) plan: Plan,
    turns: AtomicUsize,
}

impl Cluster {
    pub(super) fn new(plan: Plan) -> Self {
        let mut cluster = Self {
            log: Arc::new(FaultyLog::default()),
            clock: Arc::new(StepClock::new(Timestamp::from_millis(1_000_000))),
            ids: Arc::new(CountingIds::default()),
            servers: Mutex::default(),
            plan,
            turns: AtomicUsize::new(0),
        };
        cluster.servers = Mutex::new((0..SERVERS).map(|_| cluster.start()).collect());
        cluster.log.fail_next(cluster.plan.faults.iter().copied());
        cluster
    }

    pub(super) fn start(&self) -> Handler {
        let log = Arc::clone(&self.log) as Arc<dyn EventLog>;
        Handler::new(
            log,
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.ids) as _,
        )
    }

    /// The server that takes the next command. One choice more than there are: a restart.
    fn server(&self, turn: usize) -> Handler {
        let choice = self.plan.servers[turn % self.plan.servers.len()];
        let mut servers = self.servers.lock().unwrap();
        if choice == SERVERS {
            servers[turn % SERVERS] = self.start();
        }
        servers[choice % SERVERS].clone()
    }

    /// Repeats a command, on whichever server, until it is answered; some tries are cut off.
    pub(super) async fn insist<T, E, F>(&self, ask: impl Fn(Handler) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, CommandError<E>>>,
        E: std::error::Error + 'static,
    {
        for attempt in 0..REPEATS_MAX {
            let turn = self.turns.fetch_add(1, Ordering::SeqCst);
            let answer = match self.plan.cuts[turn % self.plan.cuts.len()] {
                polls if polls == 0 || attempt >= CUTS_MAX => Some(ask(self.server(turn)).await),
                polls => cut_off(ask(self.server(turn)), polls).await,
            };
            match answer {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(CommandError::Rejected(error))) => return Err(error),
                Some(Err(CommandError::IdempotencyMismatch)) => panic!("every id has one request"),
                Some(Err(CommandError::Conflict { .. } | CommandError::Log(_))) | None => {
                    tokio::task::yield_now().await;
                }
            }
        }
        panic!("a command was not answered after {REPEATS_MAX} repeats");
    }

    pub(super) async fn send(&self, sender: usize, number: usize) -> (CommandId, AcceptedMessage) {
        let context = context(1 + sender as u64, number as u64);
        let mut body = vec![0; 512];
        body[0] = u8::try_from(sender).unwrap();
        body[1] = u8::try_from(number).unwrap();
        let body: Arc<[u8]> = Arc::from(body);
        let accepted = self
            .insist(|handler| {
                let posting = posting(KEY, Arc::clone(&body));
                async move { send_message(&handler, context, &posting).await }
            })
            .await;
        (
            context.command_id,
            accepted.expect("there is room for all messages"),
        )
    }

    /// The recipient's steps. What it knows it reads from the log, as from its queue.
    pub(super) async fn receive(&self, round: u64, step: &Step) {
        let context = context(0, 1 + round);
        let queue = Queue::of(&self.history());
        match step {
            Step::Acknowledge { less } => {
                let stored = queue.accepted.len().saturating_sub(*less);
                let Some(&(seq, _, chain)) = queue.accepted[..stored].last() else {
                    return;
                };
                self.acknowledge(context, Acknowledgement::Through { seq, chain })
                    .await;
            }
            Step::Park => {
                let Some(&id) = queue.waiting.first() else {
                    return;
                };
                // Another step of the recipient may have ended it: it may be refused, not lost.
                let parked = self.insist(|handler| async move {
                    park_messages(&handler, context, KEY, vec![(id, ParkReason::Decrypt)]).await
                });
                parked
                    .await
                    .expect("only the recipient ends messages, one step after the other");
            }
            Step::AcknowledgeParked if queue.parked.is_empty() => {}
            Step::AcknowledgeParked => {
                let parked = queue.parked.iter().copied().take(64).collect();
                self.acknowledge(context, Acknowledgement::Parked(parked))
                    .await;
            }
            Step::Expire => {
                self.clock.advance(15 * 24 * 3_600_000);
                let expired = self
                    .insist(|handler| async move { expire_mailboxes(&handler, vec![KEY]).await });
                expired
                    .await
                    .expect("letting go of what has run out is never refused");
            }
            Step::Wipe => {
                let wiped =
                    self.insist(|handler| async move { wipe_queue(&handler, context, KEY).await });
                wiped.await.expect("wiping is never refused");
            }
        }
    }

    async fn acknowledge(&self, context: CommandContext, acknowledgement: Acknowledgement) {
        let acknowledged = self.insist(|handler| {
            let acknowledgement = acknowledgement.clone();
            async move { acknowledge_messages(&handler, context, KEY, acknowledgement).await }
        });
        acknowledged
            .await
            .expect("the recipient acknowledges what it was given");
    }

    pub(super) fn history(&self) -> Vec<Envelope> {
        self.log.history(&StreamId::mailbox(KEY))
    }
}

/// Polls a command so often and then drops it, unless it was answered before.
async fn cut_off<T>(command: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut command = Box::pin(command);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        command.as_mut().poll(context).map(Some)
    })
    .await
}

pub(super) fn context(who: u64, number: u64) -> CommandContext {
    let id = (u128::from(who) << 64 | u128::from(number)).to_be_bytes();
    CommandContext {
        command_id: CommandId::new(id),
        request_digest: RequestDigest::new(id),
    }
}
