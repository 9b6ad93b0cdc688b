//! A push outbox at work in this process: over a log in memory, with a clock that can be set, and with pushes that
//! go wherever the test wants.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use satpost_commands::ports::{
    Clock as _, EventLog as _, Expected, NewEvent, Notifier, PushOutcome, PushPayload,
};
use satpost_commands::testing::{befriend, context, posting};
use satpost_commands::{
    Handler, register_client, send_message, set_push_target, verify_push_target, watch_addresses,
};
use satpost_domain::chain::ChainEvent;
use satpost_domain::network::Network;
use satpost_domain::push::PushTarget;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchBounds, WatchWish};
use satpost_domain::{
    ClientId, CommandId, Event, EventId, MessagingKey, Metadata, Position, RequestDigest, Revision,
    StreamId,
};
use satpost_event_store::EventStore;
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::outbox::{Outbox, OutboxSettings};
use satpost_infra::push::metrics::PushMetrics;
use satpost_infra::system::SystemIds;
use satpost_projections::{ReadModel, runner};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http_server::SettableClock;

/// How long something may take that happens by itself.
const DEADLINE: Duration = Duration::from_secs(20);

/// An outbox that runs until this is dropped.
pub struct OutboxStage {
    /// Carries out commands.
    pub handler: Handler,
    /// Sees what the outbox sees.
    pub read_model: Arc<ReadModel>,
    /// The clock of all of it.
    pub clock: Arc<SettableClock>,
    /// The metrics of the outbox.
    pub registry: prometheus::Registry,
    log: Arc<StoredEventLog>,
    numbers: AtomicU64,
    _stop: DropGuard,
}

impl OutboxStage {
    /// Starts over what is in `store`.
    pub async fn start(
        store: Arc<dyn EventStore>,
        notifier: Arc<dyn Notifier>,
        settings: OutboxSettings,
    ) -> Self {
        let log = Arc::new(StoredEventLog::new(store));
        let clock = Arc::new(SettableClock::default());
        let ids = SystemIds::new();
        let handler = Handler::new(log.clone(), clock.clone(), Arc::new(ids.clone()));
        let read_model = Arc::new(ReadModel::new());
        let stop = CancellationToken::new();
        let (model, source) = (Arc::clone(&read_model), Arc::clone(&log));
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { runner::run(&model, source.as_ref(), |_| {}, stopped).await });
        let mut progress = read_model.positions();
        let live = progress.wait_for(|progress| progress.live).await;
        live.expect("the model lives as long as the stage");
        let registry = prometheus::Registry::new();
        let outbox = Outbox {
            handler: handler.clone(),
            read_model: Arc::clone(&read_model),
            notifier,
            chance: Arc::new(ids.clone()),
            metrics: PushMetrics::register(&registry).expect("a fresh registry"),
            settings,
        };
        tokio::spawn(outbox.run(stop.clone()));
        // Two stages over one log must not use the same command ids.
        let first = u64::from_be_bytes(ids.bytes()) >> 8;
        Self {
            handler,
            read_model,
            clock,
            registry,
            log,
            numbers: AtomicU64::new(first),
            _stop: stop.drop_guard(),
        }
    }

    /// A client with the push target in use.
    ///
    /// # Panics
    /// When a command is refused.
    pub async fn client(&self, number: u8, target: PushTarget) -> ClientId {
        let client = ClientId::from_stored([number; 32]);
        let key = key(number);
        let handler = &self.handler;
        register_client::register_client(handler, context(self.number()), client, key)
            .await
            .expect("a new client");
        befriend(handler, key).await;
        let pending =
            set_push_target::set_push_target(handler, context(self.number()), client, target);
        let pending = pending.await.expect("a client can be woken");
        self.see(pending.position).await;
        let code = {
            let due = self.read_model.push_outbox().due(None, usize::MAX);
            let due = due.into_iter().find(|due| due.client == client);
            due.expect("its code is owed").registration.code
        };
        let verified =
            verify_push_target::verify_push_target(handler, context(self.number()), client, code);
        self.see(verified.await.expect("the code is right")).await;
        client
    }

    /// A message for the client with this number.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn message(&self, number: u8) {
        let posting = posting(key(number), [7; 512]);
        let context = context(self.number());
        let accepted = send_message::send_message(&self.handler, context, &posting).await;
        self.see(accepted.expect("there is room").position).await;
    }

    /// Lets clients watch a script.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn watch(&self, clients: &[ClientId], script: &Script) {
        for client in clients {
            let context = context(self.number());
            let watches = vec![(script.clone().into(), WatchWish::default())];
            let bounds = WatchBounds::new(Network::Regtest, None);
            let watched =
                watch_addresses::watch_addresses(&self.handler, context, *client, watches, bounds)
                    .await;
            self.see(watched.expect("there is room").position).await;
        }
    }

    /// Lets the chain happen, in one append.
    ///
    /// # Panics
    /// When the log does not take it.
    pub async fn chain(&self, events: Vec<ChainEvent>) {
        let events = events.into_iter().map(Event::from).collect();
        self.append(&StreamId::chain(Network::Regtest), events)
            .await;
    }

    /// The client fetches.
    pub fn fetch(&self, client: &ClientId) {
        self.read_model.wakes().fetched(client, self.clock.now());
    }

    /// Waits until something is true.
    ///
    /// # Panics
    /// When it does not become true.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let become_true = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, become_true).await;
        assert!(waited.is_ok(), "waited in vain until {what}");
    }

    async fn append(&self, stream: &StreamId, events: Vec<Event>) {
        let page = self.log.read(stream, Revision(0), 4_096);
        let page = page.await.expect("the log can be read");
        let expected = page
            .events
            .last()
            .map_or(Expected::NoStream, |last| Expected::Exact(last.revision));
        let number = u128::from(self.number()).to_be_bytes();
        let metadata = Metadata {
            command_id: CommandId::new(number),
            request_digest: RequestDigest::new(number),
            recorded_at: self.clock.now(),
        };
        let events = events.into_iter().zip(0_u8..).map(|(event, index)| {
            let mut id = number;
            id[0] = index;
            id[1] = 1;
            NewEvent {
                id: EventId::new(id),
                event,
                metadata,
                payload: None,
            }
        });
        let appended = self
            .log
            .append(stream, expected, events.collect(), Vec::new());
        self.see(appended.await.expect("the log takes it").position)
            .await;
    }

    async fn see(&self, position: Position) {
        assert!(self.read_model.wait_for(position, DEADLINE).await);
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }
}

fn key(number: u8) -> MessagingKey {
    MessagingKey::from_stored([number ^ 0x80; 32])
}

/// Takes every push and keeps it, unless it is told to answer something else.
#[derive(Default)]
pub struct RecordingNotifier {
    state: Mutex<Recorded>,
    stalled: Notify,
}

#[derive(Default)]
struct Recorded {
    pushes: Vec<(PushTarget, PushPayload)>,
    next: VecDeque<PushOutcome>,
    always: Option<PushOutcome>,
    stalls: bool,
}

impl RecordingNotifier {
    /// Answers the next wake-ups with these.
    pub fn answer_next_with(&self, outcomes: impl IntoIterator<Item = PushOutcome>) {
        self.lock().next.extend(outcomes);
    }

    /// Answers every wake-up with this from now on.
    pub fn answer_always_with(&self, outcome: PushOutcome) {
        self.lock().always = Some(outcome);
    }

    /// Takes wake-ups from now on, and never answers.
    pub fn stall(&self) {
        self.lock().stalls = true;
    }

    /// The targets of all wake-ups so far.
    #[must_use]
    pub fn wakes(&self) -> Vec<PushTarget> {
        let state = self.lock();
        let wakes = state.pushes.iter();
        wakes
            .filter(|(_, payload)| *payload == PushPayload::Wake)
            .map(|(target, _)| target.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    async fn push(&self, target: &PushTarget, payload: PushPayload) -> PushOutcome {
        let (stalls, outcome) = {
            let mut state = self.lock();
            let is_wake = payload == PushPayload::Wake;
            state.pushes.push((target.clone(), payload));
            if is_wake {
                let next = state.next.pop_front();
                (
                    state.stalls,
                    next.or(state.always).unwrap_or(PushOutcome::Accepted),
                )
            } else {
                (false, PushOutcome::Accepted)
            }
        };
        if stalls {
            self.stalled.notified().await;
        }
        outcome
    }
}
