//! A subscription: a confirmation, the history, a sign that it is over, then live. The client's
//! reading drives it, so that a slow client costs one chunk of the store and nothing more.

use std::collections::VecDeque;

use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use satpost_commands::ports::LogError;
use satpost_domain::{Position, Revision};
use satpost_event_store::{RecordedEvent, StoredItem};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::filter::EventFilter;
use super::refusal::Refusal;
use super::render::{Render, answer, position};
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::{
    CaughtUp, Checkpoint, Content, FellBehind, SubscriptionConfirmation,
};

/// How many events in a row may wait for a live subscription before it is said to have fallen behind.
const WAITING_EVENTS_MAX: u32 = 1_024;

/// What a subscription is made of.
pub(super) struct Parts {
    /// Its name, unique while the server runs.
    pub(super) id: String,
    /// What it follows.
    pub(super) items: BoxStream<'static, Result<StoredItem, LogError>>,
    /// What of that it is given.
    pub(super) filter: EventFilter,
    /// After how many events it is told how far it is; nothing when it has no filter.
    pub(super) checkpoint_interval: Option<u32>,
    /// True when it follows one stream, whose revisions tell where it is.
    pub(super) of_one_stream: bool,
    pub(super) render: Render,
    /// Its place among those that are served at a time.
    pub(super) _place: OwnedSemaphorePermit,
    pub(super) stop: CancellationToken,
}

struct Subscription {
    parts: Parts,
    /// Answers that are ready.
    ready: VecDeque<ReadResp>,
    /// Where it is: the last event that was looked at.
    at: Option<(Position, Option<Revision>)>,
    /// True when `at` was left out and the client has not been told.
    left_out: bool,
    looked_at: u32,
    /// How many events in a row were there already when the subscription asked for them.
    in_a_row: u32,
    phase: Phase,
}

#[derive(PartialEq, Eq)]
enum Phase {
    History,
    Live,
    Behind,
    Ended,
}

/// The answers to a subscriber.
pub(super) fn answers(parts: Parts) -> BoxStream<'static, Result<ReadResp, Status>> {
    let confirmation = answer(Content::Confirmation(SubscriptionConfirmation {
        subscription_id: parts.id.clone(),
    }));
    let subscription = Subscription {
        parts,
        ready: VecDeque::from([confirmation]),
        at: None,
        left_out: false,
        looked_at: 0,
        in_a_row: 0,
        phase: Phase::History,
    };
    stream::unfold(subscription, |mut subscription| async move {
        let answer = subscription.next().await?;
        if answer.is_err() {
            subscription.phase = Phase::Ended;
        }
        Some((answer, subscription))
    })
    .boxed()
}

impl Subscription {
    async fn next(&mut self) -> Option<Result<ReadResp, Status>> {
        // An end without an error would make some clients ask again and again without a pause.
        let stopping = || Some(Err(Status::unavailable("the server stops")));
        loop {
            if self.phase == Phase::Ended {
                return None;
            }
            if self.parts.stop.is_cancelled() {
                return stopping();
            }
            if let Some(answer) = self.ready.pop_front() {
                return Some(Ok(answer));
            }
            let item = match self.parts.items.next().now_or_never() {
                Some(item) => item,
                None if self.nothing_waits() => continue,
                None => tokio::select! {
                    item = self.parts.items.next() => item,
                    () = self.parts.stop.cancelled() => return stopping(),
                },
            };
            match item {
                Some(Ok(item)) => {
                    if let Err(refusal) = self.take(item).await {
                        return Some(Err(refusal.into_status()));
                    }
                }
                Some(Err(error)) => return Some(Err(Refusal::Log(error).into_status())),
                None => return Some(Err(Status::unavailable("the log is not written any more"))),
            }
        }
    }

    /// Says what can be said while nothing happens. True when there was something to say.
    fn nothing_waits(&mut self) -> bool {
        self.in_a_row = 0;
        self.tell_how_far();
        if self.phase == Phase::Behind {
            self.phase = Phase::Live;
            self.ready.push_back(self.caught_up());
        }
        !self.ready.is_empty()
    }

    async fn take(&mut self, item: StoredItem) -> Result<(), Refusal> {
        match item {
            StoredItem::Event(event) => self.take_event(*event)?,
            StoredItem::CheckpointAt(position) => {
                self.at = Some((position, None));
                self.left_out = true;
                self.tell_how_far();
            }
            StoredItem::CaughtUp => {
                self.tell_how_far();
                self.phase = Phase::Live;
                self.in_a_row = 0;
                self.ready.push_back(self.caught_up());
            }
        }
        Ok(())
    }

    fn take_event(&mut self, event: RecordedEvent) -> Result<(), Refusal> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.phase == Phase::Live && self.in_a_row > WAITING_EVENTS_MAX {
            self.phase = Phase::Behind;
            self.ready.push_back(self.fell_behind());
        }
        self.at = Some((event.position, Some(event.revision)));
        self.looked_at = self.looked_at.saturating_add(1);
        self.left_out = !self.parts.filter.accepts(&event)?;
        if !self.left_out {
            self.ready.push_back(self.parts.render.event(event));
        }
        if self
            .parts
            .checkpoint_interval
            .is_some_and(|interval| self.looked_at >= interval)
        {
            self.left_out = true;
            self.tell_how_far();
        }
        Ok(())
    }

    /// Tells a subscriber with a filter how far everything was looked at, if that is news.
    fn tell_how_far(&mut self) {
        if self.parts.checkpoint_interval.is_none() || !self.left_out {
            return;
        }
        self.left_out = false;
        self.looked_at = 0;
        if let Some((at, _)) = self.at {
            let at = position(at);
            self.ready.push_back(answer(Content::Checkpoint(Checkpoint {
                commit_position: at.commit_position,
                prepare_position: at.prepare_position,
                timestamp: self.parts.render.now(),
            })));
        }
    }

    fn caught_up(&self) -> ReadResp {
        let revision = self.at.and_then(|(_, revision)| revision);
        let place = self.at.map(|(at, _)| position(at));
        answer(Content::CaughtUp(CaughtUp {
            timestamp: self.parts.render.now(),
            stream_revision: revision.filter(|_| self.parts.of_one_stream).map(|at| at.0),
            position: place.filter(|_| !self.parts.of_one_stream),
        }))
    }

    fn fell_behind(&self) -> ReadResp {
        let revision = self.at.and_then(|(_, revision)| revision);
        let place = self.at.map(|(at, _)| position(at));
        answer(Content::FellBehind(FellBehind {
            timestamp: self.parts.render.now(),
            stream_revision: revision.filter(|_| self.parts.of_one_stream).map(|at| at.0),
            position: place.filter(|_| !self.parts.of_one_stream),
        }))
    }
}
