//! A subscription of the crate that cannot take the thread with it.
//!
//! When the server ends a subscription in good order, `next` of the crate turns in a loop that
//! never waits: no timeout around it ever fires, and its thread is lost to the runtime. All it does
//! in a turn is write a line to its log. So the guard listens to that log while it polls, and
//! leaves by unwinding at the first such line.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use eventstore::{Subscription, SubscriptionEvent};
use futures_util::FutureExt as _;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::failure::Failure;

/// Why a subscription gave nothing.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server ended it in good order.
    ByServer,
    /// Nothing came for as long as the caller was willing to wait; it may be fine.
    Silent,
    /// The crate panicked on what it received.
    Panicked,
    /// It failed.
    Failed(Failure),
}

/// The subscription, and what listens to its log.
pub(super) struct GuardedSubscription {
    subscription: Subscription,
    listener: Dispatch,
}

impl GuardedSubscription {
    pub(super) fn new(subscription: Subscription) -> Self {
        let outer = tracing::dispatcher::get_default(Dispatch::clone);
        Self {
            subscription,
            listener: Dispatch::new(Listener { outer }),
        }
    }

    /// The next thing that the server says. After anything but [`Ended::Silent`] the subscription
    /// is of no use any more.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<SubscriptionEvent, Ended> {
        // What is always ready would starve its neighbours.
        tokio::task::yield_now().await;
        let next = self
            .subscription
            .next_subscription_event()
            .with_subscriber(self.listener.clone());
        let next = AssertUnwindSafe(next).catch_unwind();
        match timeout(patience, next).await {
            Ok(Ok(Ok(event))) => Ok(event),
            Ok(Ok(Err(error))) => Err(Ended::Failed(error.into())),
            Ok(Err(thrown)) => Err(if is_ours(&*thrown) {
                Ended::ByServer
            } else {
                Ended::Panicked
            }),
            Err(_) => Err(Ended::Silent),
        }
    }
}

/// What is thrown to leave the crate's loop.
struct LeftTheLoop;

fn is_ours(thrown: &(dyn Any + Send)) -> bool {
    thrown.is::<LeftTheLoop>()
}

/// The only line that the crate's loop writes.
fn is_a_turn_of_the_loop(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
        && *metadata.level() == Level::WARN
        && metadata.target() == "eventstore::commands"
}

/// Hands everything to the log of the process, except for the one line it waits for.
struct Listener {
    outer: Dispatch,
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_a_turn_of_the_loop(metadata) {
            Interest::always()
        } else {
            Interest::sometimes()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_a_turn_of_the_loop(metadata) || self.outer.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::current().max(LevelFilter::WARN))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.outer.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.outer.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.outer.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        if is_a_turn_of_the_loop(event.metadata()) {
            // Not a panic: the panic hook is not called, so nothing is printed.
            resume_unwind(Box::new(LeftTheLoop));
        }
        if self.outer.enabled(event.metadata()) {
            self.outer.event(event);
        }
    }

    fn enter(&self, span: &Id) {
        self.outer.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.outer.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.outer.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.outer.try_close(span)
    }
}
