//! Reads the whole log in either direction. The store reads forwards only, so the way back goes by
//! windows, each read forwards.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use satpost_domain::Position;
use satpost_event_store::{EventStore, RecordedEvent};
use tonic::Status;

use super::bounds;
use super::filter::EventFilter;
use super::read_request::{Direction, Start};
use super::refusal::Refusal;
use super::render::Render;
use crate::protocol::streams::ReadResp;

/// Where a read of the log is.
struct Cursor {
    store: Arc<dyn EventStore>,
    filter: EventFilter,
    render: Render,
    start: Start<Position>,
    direction: Direction,
    left: u64,
    state: State,
}

enum State {
    /// Nothing was read yet.
    New,
    /// Events at or after `from` and strictly after `after` are next, up to `head`, which was the
    /// end of the log when the call began: a busy writer must not keep a read from ending.
    Forwards {
        from: Position,
        after: Position,
        head: Position,
    },
    /// Events strictly before this position are next.
    Backwards { before: Position },
    /// Everything was read.
    Ended,
}

/// Up to `max` events that `filter` wants: forwards with the one at `start`, backwards without it,
/// as EventStoreDB does it.
pub(super) fn read(
    store: Arc<dyn EventStore>,
    start: Start<Position>,
    filter: EventFilter,
    direction: Direction,
    max: u64,
    render: Render,
) -> BoxStream<'static, Result<ReadResp, Status>> {
    let cursor = Cursor {
        store,
        filter,
        render,
        start,
        direction,
        left: max,
        state: State::New,
    };
    stream::try_unfold(cursor, |mut cursor| async move {
        let answers = cursor.answers().await?;
        Ok::<_, Refusal>(answers.map(|answers| (answers, cursor)))
    })
    .map_err(Refusal::into_status)
    .map_ok(|answers| stream::iter(answers.into_iter().map(Ok)))
    .try_flatten()
    .boxed()
}

impl Cursor {
    async fn answers(&mut self) -> Result<Option<Vec<ReadResp>>, Refusal> {
        if matches!(self.state, State::New) {
            self.state = self.begin().await?;
        }
        let events = match self.state {
            State::New | State::Ended => return Ok(None),
            _ if self.left == 0 => return Ok(None),
            State::Forwards { from, after, head } => self.forwards(from, after, head).await?,
            State::Backwards { before } => self.backwards(before).await?,
        };
        let mut answers = Vec::new();
        for event in events {
            if self.left > 0 && self.filter.accepts(&event)? {
                self.left -= 1;
                answers.push(self.render.event(event));
            }
        }
        Ok(Some(answers))
    }

    async fn begin(&self) -> Result<State, Refusal> {
        let head = self.store.head().await?;
        Ok(match (self.direction, self.start) {
            (Direction::Forwards, Start::End) | (Direction::Backwards, Start::Beginning) => {
                State::Ended
            }
            (Direction::Forwards, Start::Beginning) => State::Forwards {
                from: Position::START,
                after: Position::START,
                head,
            },
            (Direction::Forwards, Start::At(from)) => State::Forwards {
                from,
                after: just_before(from),
                head,
            },
            (Direction::Backwards, Start::At(before)) => State::Backwards {
                before: before.min(just_after(head)),
            },
            (Direction::Backwards, Start::End) => State::Backwards {
                before: just_after(head),
            },
        })
    }

    async fn forwards(
        &mut self,
        from: Position,
        after: Position,
        head: Position,
    ) -> Result<Vec<RecordedEvent>, Refusal> {
        let mut events = self.store.read_all(after, bounds::PAGE_EVENTS).await?;
        let last = events.last().map(|event| event.position);
        self.state = match last {
            Some(after) if after < head => State::Forwards { from, after, head },
            _ => State::Ended,
        };
        events.retain(|event| event.position >= from && event.position <= head);
        Ok(events)
    }

    async fn backwards(&mut self, before: Position) -> Result<Vec<RecordedEvent>, Refusal> {
        let events = self.window_before(before).await?;
        self.state = match events.front() {
            Some(first) => State::Backwards {
                before: first.position,
            },
            None => State::Ended,
        };
        Ok(events.into_iter().rev().collect())
    }

    /// The last events strictly before a position, in order; empty when there are none. Positions
    /// need not be contiguous: a window without events is made wider until it reaches the beginning.
    async fn window_before(&self, before: Position) -> Result<VecDeque<RecordedEvent>, Refusal> {
        let page = bounds::PAGE_EVENTS;
        let mut width = page as u64;
        loop {
            let low = before.major().saturating_sub(width).saturating_sub(1);
            let mut after = Position::new(low, 0);
            let mut window = VecDeque::with_capacity(page);
            'window: loop {
                let events = self.store.read_all(after, page).await?;
                let Some(last) = events.last() else {
                    break;
                };
                after = last.position;
                for event in events {
                    if event.position >= before {
                        break 'window;
                    }
                    if window.len() == page {
                        window.pop_front();
                    }
                    window.push_back(event);
                }
            }
            if !window.is_empty() || low == 0 {
                return Ok(window);
            }
            width = width.saturating_mul(2);
        }
    }
}

/// A place before which nothing is left out but what comes before `position`, and perhaps some of that.
fn just_before(position: Position) -> Position {
    match position.minor() {
        0 => Position::new(position.major().saturating_sub(1), 0),
        minor => Position::new(position.major(), minor - 1),
    }
}

fn just_after(position: Position) -> Position {
    Position::new(position.major().saturating_add(1), 0)
}
