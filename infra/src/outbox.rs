//! Empties the push outbox: sends what is owed, paces repeats, records what was taken.
//!
//! The projection says what is owed; this loop only keeps when each may be tried again. It may forget that
//! at a restart: a wake-up that was taken but not yet recorded is then sent once more, and never lost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::Handler;
use satpost_commands::ports::{Notifier, PushOutcome, PushPayload};
use satpost_commands::record_push::{mark_push_target_dead, record_wake};
use satpost_domain::client::PushDeathReason;
use satpost_domain::{ClientId, PushTargetId, Timestamp};
use satpost_projections::ReadModel;
use satpost_projections::push_outbox::{DueKind, DuePush};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the outbox is looked at when nothing nudges it: retries become due without an event.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The least time between two looks: a busy log must not make this loop busy.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(5);
/// The least time between two wake-ups of one phone.
const WAKE_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How many pushes are on their way at once.
const IN_FLIGHT_MAX: usize = 64;
/// How many owed pushes are looked at in one go.
const PAGE: usize = 1_024;
/// The first and the longest wait after a push service did not take a push.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What the loop knows about one registration.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    in_flight: bool,
    failures: u32,
    not_before: Timestamp,
    /// The verification code was taken by the push service; it is not sent twice.
    code_sent: bool,
}

impl Pace {
    fn allows(&self, kind: DueKind, now: Timestamp) -> bool {
        let done = kind == DueKind::Verification && self.code_sent;
        !self.in_flight && !done && self.not_before <= now
    }
}

type Paces = HashMap<(ClientId, PushTargetId), Pace>;

/// The loop and its ports.
pub struct Outbox {
    /// Records what was sent.
    pub handler: Handler,
    /// Says what is owed.
    pub read_model: Arc<ReadModel>,
    /// Sends it.
    pub notifier: Arc<dyn Notifier>,
}

/// A push that came back.
struct Sent {
    due: DuePush,
    outcome: PushOutcome,
}

async fn send(notifier: Arc<dyn Notifier>, due: DuePush) -> Sent {
    let payload = match due.kind {
        DueKind::Wake { .. } => PushPayload::Wake,
        DueKind::Verification => PushPayload::Verification(due.registration.code.clone()),
    };
    let outcome = notifier.push(&due.registration.target, payload).await;
    Sent { due, outcome }
}

impl Outbox {
    /// Runs until `stop`; pushes on their way are then given up and are still owed.
    pub async fn run(self, stop: CancellationToken) {
        let mut paces = Paces::new();
        let mut on_their_way = JoinSet::new();
        let mut progress = self.read_model.positions();
        loop {
            self.start_due(&mut paces, &mut on_their_way);
            tokio::select! {
                () = stop.cancelled() => return,
                Some(joined) = on_their_way.join_next(), if !on_their_way.is_empty() => {
                    match joined {
                        Ok(sent) => self.finish(&mut paces, sent).await,
                        Err(error) => tracing::error!(%error, "a push task failed"),
                    }
                }
                changed = progress.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            tokio::time::sleep(LOOK_INTERVAL_MIN).await;
        }
    }

    /// Starts every owed push whose time has come, as far as there is room.
    fn start_due(&self, paces: &mut Paces, on_their_way: &mut JoinSet<Sent>) {
        let now = self.handler.now();
        let mut owed = HashSet::new();
        let mut after = None;
        while on_their_way.len() < IN_FLIGHT_MAX {
            let page = self.read_model.push_outbox().due(after, PAGE);
            let Some(last) = page.last() else {
                // All of it was looked at: what is owed no more needs no pace.
                paces.retain(|key, pace| {
                    pace.in_flight || pace.not_before > now || owed.contains(key)
                });
                return;
            };
            after = Some(last.client);
            for due in page {
                owed.insert((due.client, due.id));
                let pace = paces.entry((due.client, due.id)).or_default();
                if pace.allows(due.kind, now) && on_their_way.len() < IN_FLIGHT_MAX {
                    pace.in_flight = true;
                    on_their_way.spawn(send(Arc::clone(&self.notifier), due));
                }
            }
        }
    }

    async fn finish(&self, paces: &mut Paces, sent: Sent) {
        let Sent { due, outcome } = sent;
        let now = self.handler.now();
        let pace = paces.entry((due.client, due.id)).or_default();
        pace.in_flight = false;
        let death = match outcome {
            PushOutcome::Accepted => {
                pace.failures = 0;
                pace.not_before = now.plus(WAKE_INTERVAL_MIN);
                pace.code_sent |= due.kind == DueKind::Verification;
                if let DueKind::Wake { through } = due.kind
                    && let Err(error) =
                        record_wake(&self.handler, due.client, due.id, through).await
                {
                    tracing::warn!(%error, "a wake-up was sent but not recorded; it will be sent again");
                }
                return;
            }
            PushOutcome::Retry(after) => {
                pace.failures += 1;
                pace.not_before = now.plus(after.unwrap_or_default().max(backoff(pace.failures)));
                return;
            }
            PushOutcome::Gone => PushDeathReason::Gone,
            PushOutcome::Refused => PushDeathReason::Refused,
            PushOutcome::Forbidden => PushDeathReason::Forbidden,
        };
        tracing::info!(push.reason = ?death, "a push target is dead");
        pace.not_before = now.plus(BACKOFF.1);
        if let Err(error) = mark_push_target_dead(&self.handler, due.client, due.id, death).await {
            tracing::warn!(%error, "a dead push target could not be recorded; it will be tried again");
        }
    }
}

/// Doubles from one second to five minutes.
fn backoff(failures: u32) -> Duration {
    let factor = 1_u32 << failures.saturating_sub(1).min(16);
    (BACKOFF.0 * factor).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_after_each_failure_up_to_five_minutes() {
        let waits: Vec<_> = [1, 2, 3, 9, 10, 40].map(|n| backoff(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    }
}
