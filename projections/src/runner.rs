//! Keeps a [`ReadModel`] up to date: catch-up, then follow. A rebuild is the same from an empty
//! state up to a position.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use satpost_domain::{Envelope, Position};

use crate::projection::Projection;
use crate::read_model::ReadModel;
use crate::source::{EventSource, FollowError, Item};

#[cfg(test)]
mod tests;

/// How many events are applied under one lock: enough to make taking it cheap, few enough for a
/// reader to wait for (about a millisecond).
const BATCH_EVENTS: usize = 512;
/// How long to wait after the log could not be followed, at first.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// How long to wait at most.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// After how many events of history the operator hears of it.
const REPORT_EVENTS: u64 = 500_000;

/// Follows `source` from the model's position until `shutdown` completes. `on_applied` sees every
/// batch of events once all projections have taken it. Never gives up: when the log cannot be
/// followed, the model stays where it is and the log is tried again.
pub async fn run(
    model: &ReadModel,
    source: &dyn EventSource,
    mut on_applied: impl FnMut(&[Envelope]),
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let mut backoff = BACKOFF_MIN;
    loop {
        let before = model.position();
        let error = tokio::select! {
            biased;
            () = &mut shutdown => return,
            error = follow(model, source, &mut on_applied) => error,
        };
        if model.position() > before {
            backoff = BACKOFF_MIN;
        }
        tracing::warn!(
            projections.position = %model.position(),
            retry_ms = backoff.as_millis(),
            error = %error,
            "the projections cannot follow the event log and will try again"
        );
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Applies what `source` gives until it ends.
async fn follow(
    model: &ReadModel,
    source: &dyn EventSource,
    on_applied: &mut impl FnMut(&[Envelope]),
) -> FollowError {
    let mut chunks = source.follow(model.position()).ready_chunks(BATCH_EVENTS);
    let mut reported = model.positions().borrow().applied;
    while let Some(chunk) = chunks.next().await {
        let chunk = Chunk::from_items(chunk);
        model.apply_all(&chunk.envelopes);
        on_applied(&chunk.envelopes);
        if let Some(position) = chunk.checkpoint {
            model.advance(position);
        }
        if chunk.caught_up && !model.is_live() {
            model.mark_live();
            tracing::info!(
                projections.position = %model.position(),
                "the projections have caught up with the event log"
            );
        }
        if let Some(error) = chunk.error {
            return error;
        }
        let applied = model.positions().borrow().applied;
        if !model.is_live() && applied - reported >= REPORT_EVENTS {
            reported = applied;
            tracing::info!(
                projections.position = %model.position(),
                events = applied,
                "the projections are catching up with the event log"
            );
        }
        // A source whose history is at hand is always ready; others want to run as well.
        tokio::task::yield_now().await;
    }
    FollowError {
        reason: "the log ended".to_owned(),
    }
}

/// What a source gave in one go.
#[derive(Default)]
struct Chunk {
    envelopes: Vec<Envelope>,
    /// Nothing of interest happened up to here, after the last envelope.
    checkpoint: Option<Position>,
    caught_up: bool,
    error: Option<FollowError>,
}

impl Chunk {
    fn from_items(items: Vec<Result<Item, FollowError>>) -> Self {
        let mut chunk = Self {
            envelopes: Vec::with_capacity(items.len()),
            ..Self::default()
        };
        for item in items {
            match item {
                Ok(Item::Event(envelope)) => chunk.envelopes.push(*envelope),
                Ok(Item::CheckpointAt(position)) => chunk.checkpoint = Some(position),
                Ok(Item::CaughtUp) => chunk.caught_up = true,
                Err(error) => {
                    chunk.error = Some(error);
                    break;
                }
            }
        }
        chunk
    }
}

/// Folds one projection from the first event through `up_to`. `on_progress` is told the position
/// after each batch.
///
/// # Errors
/// [`FollowError`] when the log cannot be read to its end.
pub async fn rebuild<P: Projection>(
    source: &dyn EventSource,
    up_to: Position,
    on_progress: impl FnMut(Position),
) -> Result<P, FollowError> {
    let mut projection = P::default();
    let apply = |envelopes: &[Envelope]| {
        for envelope in envelopes {
            projection.apply(envelope);
        }
    };
    fold(source, Position::START, up_to, apply, on_progress).await?;
    Ok(projection)
}

/// Folds all projections from the first event through `up_to`, as [`rebuild`] does for one.
///
/// # Errors
/// [`FollowError`] when the log cannot be read to its end.
pub async fn rebuild_all(
    source: &dyn EventSource,
    up_to: Position,
    on_progress: impl FnMut(Position),
) -> Result<ReadModel, FollowError> {
    let model = ReadModel::new();
    catch_up(&model, source, up_to, on_progress).await?;
    Ok(model)
}

/// Brings `model` from where it stands through `up_to`. A model that is there already stays.
///
/// # Errors
/// [`FollowError`] when the log cannot be read to its end.
pub async fn catch_up(
    model: &ReadModel,
    source: &dyn EventSource,
    up_to: Position,
    on_progress: impl FnMut(Position),
) -> Result<(), FollowError> {
    let apply = |envelopes: &[Envelope]| model.apply_all(envelopes);
    fold(source, model.position(), up_to, apply, on_progress).await
}

async fn fold(
    source: &dyn EventSource,
    after: Position,
    up_to: Position,
    mut apply: impl FnMut(&[Envelope]),
    mut on_progress: impl FnMut(Position),
) -> Result<(), FollowError> {
    let mut chunks = source.follow(after).ready_chunks(BATCH_EVENTS);
    let mut last = after;
    while last < up_to {
        let Some(chunk) = chunks.next().await else {
            return Err(ended(last, up_to));
        };
        let mut chunk = Chunk::from_items(chunk);
        chunk
            .envelopes
            .retain(|envelope| envelope.position > last && envelope.position <= up_to);
        apply(&chunk.envelopes);
        last = chunk
            .envelopes
            .last()
            .map_or(last, |envelope| envelope.position);
        on_progress(last);
        if last < up_to
            && let Some(error) = chunk.error
        {
            return Err(error);
        }
        if chunk.checkpoint.is_some_and(|position| position >= up_to) {
            break;
        }
        if last < up_to && chunk.caught_up {
            return Err(ended(last, up_to));
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn ended(last: Position, up_to: Position) -> FollowError {
    FollowError {
        reason: format!("the log ends at {last}, before {up_to}"),
    }
}
