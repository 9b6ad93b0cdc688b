//! Following the log: one subscription to `$all` after another, each from where the follower is.
//! That place is kept here, since the crate forgets what a checkpoint told it, and reads again from
//! the last event. What comes twice is left out; so followers see no gap and no double, however
//! often the connection is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use eventstore::{
    StreamPosition, SubscribeToAllOptions, Subscription, SubscriptionEvent, SubscriptionFilter,
};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use satpost_commands::ports::LogError;
use satpost_domain::Position;
use satpost_event_store::{Filter, StoredItem};
use tokio::time::sleep;

use super::Inner;
use super::convert::{self, Found};
use super::failure::Failure;
use super::subscription_guard::{Ended, GuardedSubscription};

/// How long a subscription may be silent before it is compared with the log.
const PATIENCE: Duration = Duration::from_secs(15);
/// The first wait before a subscription is made anew; it doubles.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The longest wait before a subscription is made anew.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How many events the server looks at before it tells how far it is, where it filters.
const CHECKPOINT_EVENTS: u32 = 256;
/// After how many events that were left out here the follower is told how far it is.
const LEFT_OUT_MAX: usize = 256;

struct Follower {
    log: Arc<Inner>,
    filter: Filter,
    /// Everything through here was given or left out.
    after: Position,
    /// Everything through here was told of.
    told: Position,
    /// The end of the log when the follower began.
    head: Option<Position>,
    left_out: usize,
    subscription: Option<GuardedSubscription>,
    /// The client that the subscription was made on.
    generation: u64,
    backoff: Duration,
    ready: VecDeque<StoredItem>,
    caught_up: bool,
    ended: bool,
}

/// Follows the log strictly after `after`. Ends after an error; a lost connection is none.
pub(super) fn follow(
    log: Arc<Inner>,
    after: Position,
    filter: Filter,
) -> BoxStream<'static, Result<StoredItem, LogError>> {
    let follower = Follower {
        log,
        filter,
        after,
        told: after,
        head: None,
        left_out: 0,
        subscription: None,
        generation: 0,
        backoff: BACKOFF_MIN,
        ready: VecDeque::new(),
        caught_up: false,
        ended: false,
    };
    stream::unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let item = follower.next().await;
        follower.ended = item.is_err();
        Some((item, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Result<StoredItem, LogError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(item);
            }
            if self.head.is_none() {
                self.begin().await?;
                continue;
            }
            let Some(subscription) = &mut self.subscription else {
                self.subscribe().await?;
                continue;
            };
            match subscription.next(PATIENCE).await {
                Ok(event) => {
                    self.backoff = BACKOFF_MIN;
                    self.take(event);
                }
                Err(Ended::Silent) => self.compare_with_log().await?,
                Err(Ended::ByServer) => {
                    self.lost("the server ended the subscription", None).await?;
                }
                Err(Ended::Panicked) => {
                    self.lost("the client does not understand the server", None)
                        .await?;
                }
                Err(Ended::Failed(failure)) => {
                    self.lost("the subscription failed", Some(failure)).await?;
                }
            }
        }
    }

    /// Learns where the history ends.
    async fn begin(&mut self) -> Result<(), LogError> {
        let head = self.log.last_position().await?;
        self.head = Some(head);
        if head <= self.after {
            self.catch_up();
        }
        Ok(())
    }

    fn catch_up(&mut self) {
        if self.caught_up {
            return;
        }
        self.caught_up = true;
        self.tell();
        self.ready.push_back(StoredItem::CaughtUp);
    }

    /// Says how far everything was looked at, if that is news.
    fn tell(&mut self) {
        self.left_out = 0;
        if self.after > self.told {
            self.told = self.after;
            self.ready.push_back(StoredItem::CheckpointAt(self.after));
        }
    }

    fn take(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::EventAppeared(resolved) => {
                if let Some(found) = convert::read(resolved) {
                    self.take_found(found);
                }
            }
            SubscriptionEvent::Checkpoint(position) => {
                let position = convert::position_of(position.commit, position.prepare);
                self.after = self.after.max(position);
                self.tell();
            }
            // The server has given everything, so what was not given is left out by its filter.
            SubscriptionEvent::CaughtUp => {
                self.after = self.after.max(self.head.unwrap_or(Position::START));
                self.catch_up();
            }
            _ => {}
        }
        if self.head.is_some_and(|head| head <= self.after) {
            self.catch_up();
        }
    }

    fn take_found(&mut self, found: Found) {
        let position = found.position();
        if position <= self.after {
            return;
        }
        self.after = position;
        match found {
            Found::Ours(read)
                if self
                    .filter
                    .accepts(read.event.stream.as_str(), &read.event.kind) =>
            {
                self.told = position;
                self.left_out = 0;
                self.ready
                    .push_back(StoredItem::Event(Box::new(read.event)));
            }
            _ => {
                self.left_out += 1;
                if self.caught_up || self.left_out >= LEFT_OUT_MAX {
                    self.tell();
                }
            }
        }
    }

    async fn subscribe(&mut self) -> Result<(), LogError> {
        let (client, generation) = match self.log.connection.client() {
            Ok(client) => client,
            Err(failure) => return self.lost("no client", Some(failure)).await,
        };
        // A place beyond the log's end is not known to the server.
        let from = self.after.min(self.head.unwrap_or(Position::START));
        let from = match from {
            Position::START => StreamPosition::Start,
            from => StreamPosition::Position(convert::to_crate_position(from)),
        };
        let options = SubscribeToAllOptions::default()
            .position(from)
            .filter(to_crate(&self.filter))
            .requires_leader(true);
        let options = match self.log.connection.credentials() {
            Some(credentials) => options.authenticated(credentials),
            None => options,
        };
        let subscription: Subscription = client.subscribe_to_all(&options).await;
        self.subscription = Some(GuardedSubscription::new(subscription));
        self.generation = generation;
        Ok(())
    }

    /// A subscription that says nothing is fine when there is nothing to say.
    async fn compare_with_log(&mut self) -> Result<(), LogError> {
        match self.log.last_position().await {
            Ok(head) if head <= self.after => Ok(()),
            // With a filter the server may have given everything there is to give.
            Ok(_) => self.lost("it has stalled", None).await,
            Err(_) => self.lost("it is silent", None).await,
        }
    }

    /// Drops the subscription and waits a little, unless it can never work.
    async fn lost(&mut self, what: &str, failure: Option<Failure>) -> Result<(), LogError> {
        self.subscription = None;
        let reason = failure.as_ref().map(|failure| format!("{failure:?}"));
        if let Some(failure) = failure {
            self.log.connection.note(self.generation, &failure);
            if !matches!(failure, Failure::Passing { .. }) {
                return Err(failure.into_error(&self.log.connection.place()));
            }
        }
        tracing::debug!(
            log.position = %self.after,
            retry_ms = self.backoff.as_millis(),
            reason,
            "a subscription to the cluster's log was lost and is made anew: {what}"
        );
        sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        Ok(())
    }
}

/// What the server can filter: one of both lists; the other one is looked at here. Without lists
/// it leaves out what is its own.
fn to_crate(filter: &Filter) -> SubscriptionFilter {
    let by = |filter: SubscriptionFilter, prefixes: &[String]| {
        prefixes.iter().fold(filter, SubscriptionFilter::add_prefix)
    };
    let to_crate = if !filter.streams.is_empty() {
        by(SubscriptionFilter::on_stream_name(), &filter.streams)
    } else if !filter.kinds.is_empty() {
        by(SubscriptionFilter::on_event_type(), &filter.kinds)
    } else {
        SubscriptionFilter::on_event_type().exclude_system_events()
    };
    to_crate.max(CHECKPOINT_EVENTS)
}
