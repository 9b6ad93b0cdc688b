//! The client of the crate, built when it is needed and replaced when it is of no use any more: a
//! client whose first connection fails never recovers, and one that has lost its node may stay
//! with it.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use eventstore::{Client, Credentials};
use tokio::time::{Instant, sleep, timeout_at};

use super::connection_string::ConnectionString;
use super::failure::Failure;

/// How long one call may take, all its attempts together.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// The first wait between two attempts; it doubles.
const BACKOFF_MIN: Duration = Duration::from_millis(25);
/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The way to the cluster.
pub(super) struct Connection {
    to: ConnectionString,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    client: Option<Client>,
    /// Counts the clients, so that one failure seen by many replaces one client only.
    generation: u64,
}

impl Connection {
    pub(super) fn new(to: ConnectionString) -> Self {
        Self {
            to,
            slot: Mutex::default(),
        }
    }

    /// Where it leads, for messages.
    pub(super) fn place(&self) -> String {
        format!("the event log at {}", self.to)
    }

    /// What every call is authenticated with.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        self.to.credentials().cloned()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot
            .lock()
            .expect("no code panics while it holds the lock")
    }

    /// The client of now and its generation. Connects later, with its first call.
    pub(super) fn client(&self) -> Result<(Client, u64), Failure> {
        let mut slot = self.slot();
        if let Some(client) = &slot.client {
            return Ok((client.clone(), slot.generation));
        }
        let client = Client::new(self.to.settings().clone()).map_err(Failure::from)?;
        slot.generation += 1;
        slot.client = Some(client.clone());
        Ok((client, slot.generation))
    }

    /// Takes note of a failure of a call with the client of `generation`.
    pub(super) fn note(&self, generation: u64, failure: &Failure) {
        let mut slot = self.slot();
        let disconnected = matches!(
            failure,
            Failure::Passing {
                disconnected: true,
                ..
            }
        );
        if disconnected && slot.generation == generation {
            slot.client = None;
        }
    }

    /// Calls until it works, until it can never work, or until [`CALL_DEADLINE`]. For calls that
    /// change nothing.
    pub(super) async fn call<T, C, F>(&self, call: C) -> Result<T, Failure>
    where
        C: Fn(Client) -> F + Send + Sync,
        F: Future<Output = Result<T, Failure>> + Send,
        T: Send,
    {
        let deadline = Instant::now() + CALL_DEADLINE;
        let mut backoff = Backoff::new();
        loop {
            let (client, generation) = self.client()?;
            let failure = match timeout_at(deadline, call(client)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(failure)) => failure,
                // Whatever it waits for, the next call is better off with a fresh client.
                Err(_) => Failure::Passing {
                    reason: "no answer came in time".to_owned(),
                    disconnected: true,
                },
            };
            self.note(generation, &failure);
            if !matches!(failure, Failure::Passing { .. }) || !backoff.wait_before(deadline).await {
                return Err(failure);
            }
        }
    }
}

/// Waits longer and longer.
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: BACKOFF_MIN }
    }

    pub(super) async fn wait(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).min(BACKOFF_MAX);
    }

    /// Waits, unless the wait would end after `deadline`: then it answers false at once.
    pub(super) async fn wait_before(&mut self, deadline: Instant) -> bool {
        if Instant::now() + self.next >= deadline {
            return false;
        }
        self.wait().await;
        true
    }
}
