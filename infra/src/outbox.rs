//! Empties the push outbox: sends what is owed, paces repeats, records what was taken.
//!
//! The projection says what is owed; this loop only keeps when each may be tried again, and the wake
//! board who has been woken and has not fetched. Both may be forgotten at a restart: a wake-up that was taken
//! but not yet recorded is then sent once more, and never lost.

mod breaker;
mod heartbeat;
mod pace;

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::Handler;
use satpost_commands::ports::{Chance, Notifier, PushOutcome, PushPayload};
use satpost_commands::record_push::{mark_push_target_dead, record_wake};
use satpost_domain::client::PushDeathReason;
use satpost_domain::limits::PUSH_REFUSALS_MAX;
use satpost_domain::push::PushRegistration;
use satpost_domain::{ClientId, PushTargetId, Timestamp};
use satpost_projections::ReadModel;
use satpost_projections::push_outbox::{DueKind, DuePush};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::push::metrics::PushMetrics;
use breaker::{Breakers, Provider};
use heartbeat::Heartbeat;
use pace::{BACKOFF, Paces, wait};

/// How often the outbox is looked at when nothing nudges it: retries become due without an event.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The least time between two looks: a busy log must not make this loop busy.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(5);
/// A look that took long is followed by a pause this many times as long.
const LOOK_PAUSE_FACTOR: u32 = 9;
/// How often what is over is forgotten, and gauges are set.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);
/// How many pushes are on their way at once.
const IN_FLIGHT_MAX: usize = 64;
/// How many owed pushes are looked at in one go.
const PAGE: usize = 1_024;

/// What may be different from server to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxSettings {
    /// The least time between two pushes to one phone.
    pub wake_interval_min: Duration,
    /// How often every phone is woken without a cause; never when absent.
    pub heartbeat: Option<Duration>,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            wake_interval_min: Duration::from_secs(1),
            heartbeat: None,
        }
    }
}

/// The loop and its ports.
pub struct Outbox {
    /// Records what was sent.
    pub handler: Handler,
    /// Says what is owed.
    pub read_model: Arc<ReadModel>,
    /// Sends it.
    pub notifier: Arc<dyn Notifier>,
    /// Spreads retries.
    pub chance: Arc<dyn Chance>,
    /// Counts pushes.
    pub metrics: PushMetrics,
    /// The operator's choices.
    pub settings: OutboxSettings,
}

/// Why a push is sent. It decides what is recorded, and nothing about the wake-up itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Code,
    Triggers { through: u64 },
    Heartbeat,
}

/// A push on its way.
struct Push {
    client: ClientId,
    id: PushTargetId,
    registration: PushRegistration,
    cause: Cause,
    provider: Provider,
}

/// A push that came back.
struct Sent {
    push: Push,
    outcome: PushOutcome,
    took: Duration,
}

/// What the loop keeps between two looks.
struct Book {
    paces: Paces,
    breakers: Breakers,
    heartbeat: Heartbeat,
    tidied_at: Timestamp,
}

impl Outbox {
    /// Runs until `stop`; pushes on their way are then given up and are still owed.
    pub async fn run(self, stop: CancellationToken) {
        let mut book = Book {
            paces: Paces::new(),
            breakers: Breakers::default(),
            heartbeat: Heartbeat::every(self.settings.heartbeat),
            tidied_at: Timestamp::default(),
        };
        let mut on_their_way = JoinSet::new();
        let mut progress = self.read_model.positions();
        loop {
            let started = Instant::now();
            self.look(&mut book, &mut on_their_way);
            let pause = LOOK_INTERVAL_MIN.max(started.elapsed() * LOOK_PAUSE_FACTOR);
            tokio::select! {
                () = stop.cancelled() => return,
                Some(joined) = on_their_way.join_next(), if !on_their_way.is_empty() => {
                    match joined {
                        Ok(sent) => self.finish(&mut book, sent).await,
                        Err(error) => tracing::error!(%error, "a push task failed"),
                    }
                }
                changed = progress.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn look(&self, book: &mut Book, on_their_way: &mut JoinSet<Sent>) {
        let now = self.handler.now();
        self.start_owed(book, on_their_way, now);
        self.start_heartbeats(book, on_their_way, now);
        let tidy = now.since(book.tidied_at) >= TIDY_INTERVAL || now < book.tidied_at;
        if tidy {
            book.tidied_at = now;
            self.tidy(book, now);
        }
    }

    /// Starts every owed push whose time has come, as far as there is room.
    fn start_owed(&self, book: &mut Book, on_their_way: &mut JoinSet<Sent>, now: Timestamp) {
        let mut after = None;
        while on_their_way.len() < IN_FLIGHT_MAX {
            let board = self.read_model.wakes();
            let page = self
                .read_model
                .push_outbox()
                .due_page(after, PAGE, |client, id, kind| {
                    let pace = book.paces.get(&(*client, id));
                    pace.is_none_or(|pace| pace.allows(kind, now))
                        && (kind == DueKind::Verification || board.may_wake(client, now))
                });
            for due in page.due {
                self.start(book, on_their_way, push_of(due), now);
            }
            if !page.more {
                return;
            }
            after = page.last;
        }
    }

    /// Wakes the phones whose turn it is, whether there is a cause or not.
    fn start_heartbeats(&self, book: &mut Book, on_their_way: &mut JoinSet<Sent>, now: Timestamp) {
        let active = || self.read_model.push_outbox().active();
        while on_their_way.len() < IN_FLIGHT_MAX {
            let chance = self.chance.as_ref();
            let Some(client) = book.heartbeat.next(now, active, chance) else {
                return;
            };
            let target = self.read_model.push_outbox().active_target(&client);
            let Some((id, registration)) = target else {
                continue;
            };
            let pace = book.paces.get(&(client, id));
            if pace.is_none_or(|pace| pace.is_free(now)) {
                let provider = Provider::of(&registration.target);
                let push = Push {
                    client,
                    id,
                    registration,
                    cause: Cause::Heartbeat,
                    provider,
                };
                self.start(book, on_their_way, push, now);
            }
        }
    }

    /// Starts a push unless there is no room or its push service is in trouble.
    fn start(&self, book: &mut Book, on_their_way: &mut JoinSet<Sent>, push: Push, now: Timestamp) {
        if on_their_way.len() >= IN_FLIGHT_MAX {
            return;
        }
        let pace = book.paces.entry((push.client, push.id)).or_default();
        if let Err(later) = book.breakers.admit(&push.provider, now) {
            pace.not_before = later.plus(wait(1, None, self.chance.as_ref()));
            return;
        }
        pace.in_flight = true;
        if push.cause != Cause::Code {
            self.read_model.wakes().wake(push.client, now);
        }
        let (handler, notifier) = (self.handler.clone(), Arc::clone(&self.notifier));
        on_their_way.spawn(send(handler, notifier, push));
    }

    async fn finish(&self, book: &mut Book, sent: Sent) {
        let Sent {
            push,
            outcome,
            took,
        } = sent;
        let kind = push.provider.kind();
        self.metrics.tried(kind, outcome, took);
        if outcome != PushOutcome::Accepted && push.cause != Cause::Code {
            self.read_model.wakes().take_back(&push.client);
        }
        let now = self.handler.now();
        self.judge_provider(&mut book.breakers, &push.provider, outcome, now);
        self.metrics.left_alone(kind, book.breakers.closed(kind));

        let pace = book.paces.entry((push.client, push.id)).or_default();
        pace.in_flight = false;
        if outcome == PushOutcome::Accepted {
            (pace.failures, pace.refusals) = (0, 0);
            pace.not_before = now.plus(self.settings.wake_interval_min);
            pace.code_sent |= push.cause == Cause::Code;
            return;
        }
        pace.failures = pace.failures.saturating_add(1);
        pace.not_before = now.plus(wait(pace.failures, asked(outcome), self.chance.as_ref()));
        let death = match outcome {
            PushOutcome::Invalid(since) => Some((PushDeathReason::Gone, since)),
            PushOutcome::Forbidden => Some((PushDeathReason::Forbidden, None)),
            PushOutcome::Refused => {
                pace.refusals += 1;
                (pace.refusals >= PUSH_REFUSALS_MAX).then_some((PushDeathReason::Refused, None))
            }
            PushOutcome::Accepted
            | PushOutcome::Retry(_)
            | PushOutcome::Unavailable(_)
            | PushOutcome::Misconfigured => None,
        };
        if let Some((reason, since)) = death {
            self.bury(&push, reason, since).await;
        }
    }

    fn judge_provider(
        &self,
        breakers: &mut Breakers,
        provider: &Provider,
        outcome: PushOutcome,
        now: Timestamp,
    ) {
        match outcome {
            PushOutcome::Unavailable(asked) => {
                let failures = breakers.failures(provider) + 1;
                let pause = wait(failures, asked, self.chance.as_ref());
                breakers.fails(provider, now, pause);
            }
            PushOutcome::Misconfigured => {
                let pause = BACKOFF.1.mul_f64(0.5 + self.chance.fraction() / 2.0);
                breakers.refuses_us(provider, now, pause);
            }
            PushOutcome::Accepted
            | PushOutcome::Retry(_)
            | PushOutcome::Invalid(_)
            | PushOutcome::Refused
            | PushOutcome::Forbidden => breakers.works(provider),
        }
    }

    async fn bury(&self, push: &Push, reason: PushDeathReason, since: Option<Timestamp>) {
        tracing::info!(push.reason = ?reason, push.provider = push.provider.kind().name(), "a push target is dead");
        let recorded =
            mark_push_target_dead(&self.handler, push.client, push.id, reason, since).await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "a dead push target could not be recorded; it will be tried again");
        }
    }

    fn tidy(&self, book: &mut Book, now: Timestamp) {
        let outbox = self.read_model.push_outbox();
        book.paces.retain(|(client, id), pace| {
            pace.in_flight || pace.not_before > now || outbox.is_owed(client, *id)
        });
        let owed = outbox.owed();
        drop(outbox);
        self.metrics
            .waiting(owed, self.read_model.wakes().tidy(now));
    }
}

fn push_of(due: DuePush) -> Push {
    Push {
        client: due.client,
        id: due.id,
        provider: Provider::of(&due.registration.target),
        registration: due.registration,
        cause: match due.kind {
            DueKind::Verification => Cause::Code,
            DueKind::Wake { through } => Cause::Triggers { through },
        },
    }
}

/// Sends a push, and records it once it was taken.
async fn send(handler: Handler, notifier: Arc<dyn Notifier>, push: Push) -> Sent {
    let payload = match push.cause {
        Cause::Code => PushPayload::Verification(push.registration.code.clone()),
        Cause::Triggers { .. } | Cause::Heartbeat => PushPayload::Wake,
    };
    let started = Instant::now();
    let outcome = notifier.push(&push.registration.target, payload).await;
    let took = started.elapsed();
    if let (PushOutcome::Accepted, Cause::Triggers { through }) = (outcome, push.cause)
        && let Err(error) = record_wake(&handler, push.client, push.id, through).await
    {
        tracing::warn!(%error, "a wake-up was sent but not recorded; it may be sent again");
    }
    Sent {
        push,
        outcome,
        took,
    }
}

/// How long the push service wants to be left alone.
const fn asked(outcome: PushOutcome) -> Option<Duration> {
    match outcome {
        PushOutcome::Retry(after) | PushOutcome::Unavailable(after) => after,
        PushOutcome::Accepted
        | PushOutcome::Invalid(_)
        | PushOutcome::Refused
        | PushOutcome::Forbidden
        | PushOutcome::Misconfigured => None,
    }
}
