//! The handler over a log that fails: senders and a recipient work at the same time through several
//! servers that crash, on appends that conflict, are refused, or end nobody knows how. Everyone
//! repeats a command until it is answered, and in the end each has happened exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use satpost_commands::acknowledge_messages::{Acknowledgement, acknowledge_messages};
use satpost_commands::handler::{CommandContext, Handler};
use satpost_commands::park_messages::park_messages;
use satpost_commands::ports::EventLog;
use satpost_commands::processes::expiry::expire_mailboxes;
use satpost_commands::register_client::register_client;
use satpost_commands::send_message::{AcceptedMessage, send_message};
use satpost_commands::testing::{CountingIds, Fault, FaultyLog, StepClock};
use satpost_commands::wipe_queue::wipe_queue;
use satpost_commands::CommandError;
use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::{Mailbox, MailboxEvent, ParkReason};
use satpost_domain::{
    Aggregate as _, ClientId, CommandId, Envelope, Event, MessageId, MessagingKey, PayloadId,
    RequestDigest, StreamId, Timestamp,
};

use crate::support::config;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);
const SERVERS: usize = 3;
/// How often one command may be repeated before the test is at fault.
const REPEATS_MAX: usize = 2_000;
/// How often one command is cut off before it is left alone.
const CUTS_MAX: usize = 10;

/// What the recipient does next.
#[derive(Debug, Clone)]
enum Step {
    /// Stores all that waits and acknowledges it, or up to so many messages less.
    Acknowledge { less: usize },
    /// Parks the oldest message that waits.
    Park,
    /// Is done with everything that is parked.
    AcknowledgeParked,
    /// Lets the time of all messages so far run out.
    Expire,
    /// Wipes the queue.
    Wipe,
}

#[derive(Debug, Clone)]
struct Plan {
    /// How many messages each sender sends.
    senders: Vec<usize>,
    steps: Vec<Step>,
    faults: Vec<Option<Fault>>,
    /// After how many polls a command is cut off, as by a crash; 0 for never.
    cuts: Vec<usize>,
    /// Which server takes a command; every so often one is started anew.
    servers: Vec<usize>,
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fault::Conflict)),
        1 => Just(Some(Fault::Unavailable)),
        1 => Just(Some(Fault::LostUnknown)),
        1 => Just(Some(Fault::StoredUnknown)),
        1 => (1..12_usize).prop_map(|appends| Some(Fault::LateUnknown(appends))),
        // Long enough that the handler gives up.
        1 => Just(Some(Fault::LostUnknown)),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(|less| Step::Acknowledge { less }),
        2 => Just(Step::Park),
        2 => Just(Step::AcknowledgeParked),
        1 => Just(Step::Expire),
        1 => Just(Step::Wipe),
    ];
    let bursts = (fault(), 1..7_usize).prop_map(|(fault, length)| vec![fault; length]);
    (
        proptest::collection::vec(1..8_usize, 1..5),
        proptest::collection::vec(step, 0..12),
        proptest::collection::vec(bursts, 0..30),
        proptest::collection::vec(prop_oneof![3 => Just(0), 1 => 1..12_usize], 1..20),
        proptest::collection::vec(0..SERVERS + 1, 1..20),
    )
        .prop_map(|(senders, steps, bursts, cuts, servers)| Plan {
            senders,
            steps,
            faults: bursts.concat(),
            cuts,
            servers,
        })
}

/// Several servers on one log.
struct Cluster {
    log: Arc<FaultyLog>,
    clock: Arc<StepClock>,
    ids: Arc<CountingIds>,
    servers: Mutex<Vec<Handler>>,
    plan: Plan,
    turns: AtomicUsize,
}

impl Cluster {
    fn new(plan: Plan) -> Self {
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

    fn start(&self) -> Handler {
        let log = Arc::clone(&self.log) as Arc<dyn EventLog>;
        Handler::new(log, Arc::clone(&self.clock) as _, Arc::clone(&self.ids) as _)
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
    async fn insist<T, E, F>(&self, ask: impl Fn(Handler) -> F) -> Result<T, E>
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

    async fn send(&self, sender: usize, number: usize) -> (CommandId, AcceptedMessage) {
        let context = context(1 + sender as u64, number as u64);
        let mut body = vec![0; 512];
        body[0] = u8::try_from(sender).unwrap();
        body[1] = u8::try_from(number).unwrap();
        let body: Arc<[u8]> = Arc::from(body);
        let accepted = self
            .insist(|handler| {
                let body = Arc::clone(&body);
                async move { send_message(&handler, context, KEY, body, None).await }
            })
            .await;
        (context.command_id, accepted.expect("there is room for all messages"))
    }

    /// The recipient's steps. What it knows it reads from the log, as from its queue.
    async fn receive(&self, round: u64, step: &Step) {
        let context = context(0, 1 + round);
        let queue = Queue::of(&self.history());
        match step {
            Step::Acknowledge { less } => {
                let stored = queue.accepted.len().saturating_sub(*less);
                let Some(&(seq, _, chain)) = queue.accepted[..stored].last() else {
                    return;
                };
                self.acknowledge(context, Acknowledgement::Through { seq, chain }).await;
            }
            Step::Park => {
                let Some(&id) = queue.waiting.first() else {
                    return;
                };
                // Another step of the recipient may have ended it: it may be refused, not lost.
                let parked = self.insist(|handler| async move {
                    park_messages(&handler, context, KEY, vec![(id, ParkReason::Decrypt)]).await
                });
                parked.await.expect("only the recipient ends messages, one step after the other");
            }
            Step::AcknowledgeParked if queue.parked.is_empty() => {}
            Step::AcknowledgeParked => {
                let parked = queue.parked.iter().copied().take(64).collect();
                self.acknowledge(context, Acknowledgement::Parked(parked)).await;
            }
            Step::Expire => {
                self.clock.advance(15 * 24 * 3_600_000);
                let expired =
                    self.insist(|handler| async move { expire_mailboxes(&handler, vec![KEY]).await });
                expired.await.expect("letting go of what has run out is never refused");
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
        acknowledged.await.expect("the recipient acknowledges what it was given");
    }

    fn history(&self) -> Vec<Envelope> {
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

fn context(who: u64, number: u64) -> CommandContext {
    let id = (u128::from(who) << 64 | u128::from(number)).to_be_bytes();
    CommandContext {
        command_id: CommandId::new(id),
        request_digest: RequestDigest::new(id),
    }
}

/// A mailbox as its recipient sees it.
#[derive(Default)]
struct Queue {
    accepted: Vec<(u64, MessageId, ChainHash)>,
    waiting: Vec<MessageId>,
    parked: Vec<MessageId>,
    /// How often each message ended.
    ended: BTreeMap<MessageId, usize>,
}

impl Queue {
    fn of(history: &[Envelope]) -> Self {
        let mut queue = Self::default();
        for envelope in history {
            let Event::Mailbox(event) = &envelope.event else {
                panic!("a mailbox has only its own events");
            };
            queue.read(event);
        }
        queue
    }

    fn read(&mut self, event: &MailboxEvent) {
        match event {
            MailboxEvent::MailboxOpened { .. } | MailboxEvent::MailboxClosed { .. } => {}
            MailboxEvent::MessageAccepted { seq, id, chain, .. } => {
                self.accepted.push((*seq, *id, *chain));
                self.waiting.push(*id);
            }
            MailboxEvent::MessageParked { seq, .. } => {
                let id = self.id(*seq);
                self.waiting.retain(|waiting| *waiting != id);
                self.parked.push(id);
            }
            MailboxEvent::MessagesAcknowledged { through, .. } => {
                for id in self.waiting.clone() {
                    if self.accepted.iter().any(|(seq, known, _)| *known == id && seq <= through) {
                        self.end(id);
                    }
                }
            }
            MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
                for seq in seqs {
                    self.end(self.id(*seq));
                }
            }
            MailboxEvent::MessageGone { seq, .. } => self.end(self.id(*seq)),
        }
    }

    fn id(&self, seq: u64) -> MessageId {
        self.accepted[usize::try_from(seq).unwrap() - 1].1
    }

    fn end(&mut self, id: MessageId) {
        self.waiting.retain(|waiting| *waiting != id);
        self.parked.retain(|parked| *parked != id);
        *self.ended.entry(id).or_default() += 1;
    }
}

/// Lets everyone work at the same time, and gives the senders' answers.
async fn live(cluster: &Arc<Cluster>) -> BTreeMap<CommandId, AcceptedMessage> {
    let opened = cluster.insist(|handler| async move {
        register_client(&handler, context(0, 0), ALICE, KEY).await
    });
    opened.await.expect("nobody else registers");

    let mut tasks = tokio::task::JoinSet::new();
    for (sender, count) in cluster.plan.senders.iter().copied().enumerate() {
        let cluster = Arc::clone(cluster);
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for number in 0..count {
                answers.push(cluster.send(sender, number).await);
            }
            answers
        });
    }
    let recipient = Arc::clone(cluster);
    tasks.spawn(async move {
        for (round, step) in (0..).zip(&recipient.plan.steps) {
            recipient.receive(round, step).await;
        }
        Vec::new()
    });
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Whatever went wrong: what the senders were told is what happened, once.
async fn check(cluster: &Cluster, answers: &BTreeMap<CommandId, AcceptedMessage>) {
    let history = cluster.history();
    let mut accepted = BTreeMap::new();
    for envelope in &history {
        if let Event::Mailbox(MailboxEvent::MessageAccepted { id, digest, at, expires_at, .. }) =
            &envelope.event
        {
            let facts = (*id, *digest, *at, *expires_at, envelope.position);
            let first = accepted.insert(envelope.metadata.command_id, facts);
            assert_eq!(first, None, "a send happened twice");
        }
    }
    let told: BTreeMap<_, _> = answers
        .iter()
        .map(|(command, told)| {
            (*command, (told.id, told.digest, told.accepted_at, told.expires_at, told.position))
        })
        .collect();
    assert_eq!(accepted, told);

    let queue = Queue::of(&history);
    let seqs: Vec<u64> = queue.accepted.iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(seqs, (1..=answers.len() as u64).collect::<Vec<_>>(), "no gap, no repeat");
    assert!(queue.ended.values().all(|times| *times == 1), "a message ended more than once");

    let mut erased = cluster.log.erased();
    erased.sort();
    let ended: Vec<PayloadId> = queue.ended.keys().copied().map(Into::into).collect();
    assert_eq!(erased, ended, "each body was erased once, when its message ended");
    let held = queue.waiting.iter().chain(&queue.parked).copied().map(Into::into);
    assert_eq!(cluster.log.held(), held.collect::<BTreeSet<PayloadId>>());

    let mut folded = Mailbox::default();
    for event in history.iter().filter_map(|envelope| Mailbox::own_event(&envelope.event)) {
        folded.evolve(event);
    }
    let servers = cluster.servers.lock().unwrap().clone();
    for server in servers.into_iter().chain([cluster.start()]) {
        let live = server.state::<Mailbox>(&StreamId::mailbox(KEY)).await.unwrap();
        assert_eq!(*live, folded, "every server folds the same");
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn everything_happens_exactly_once_whatever_goes_wrong(plan in plan()) {
        // One thread and a clock that stands still unless all wait: the plan decides everything.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let cluster = Arc::new(Cluster::new(plan));
            let answers = live(&cluster).await;
            cluster.log.work_again();
            check(&cluster, &answers).await;
        });
    }
}
