//! A state folded from a stream, and where in the stream it stands.

use std::sync::Arc;

use satpost_domain::aggregate::Aggregate;
use satpost_domain::limits::FOLD_PAGE_EVENTS;
use satpost_domain::{Envelope, Metadata, Position, Revision, StreamId};

use crate::ports::{Appended, EventLog, Expected, LogError};

use super::CommandContext;
use super::recent_commands::{Recall, RecentCommand, RecentCommands};

/// The state of one stream up to `last`.
#[derive(Debug)]
pub(super) struct Folded<A> {
    /// Shared with those who asked for it; cloned on the next change only while they hold it.
    pub(super) state: Arc<A>,
    /// The last event's place in the stream.
    last: Option<Revision>,
    /// The last event's place in the log.
    pub(super) position: Position,
    recent: RecentCommands,
}

impl<A: Aggregate> Default for Folded<A> {
    fn default() -> Self {
        Self {
            state: Arc::new(A::default()),
            last: None,
            position: Position::START,
            recent: RecentCommands::default(),
        }
    }
}

impl<A: Aggregate> Folded<A> {
    /// What an append must expect to be decided by this state.
    pub(super) fn expected(&self) -> Expected {
        self.last.map_or(Expected::NoStream, Expected::Exact)
    }

    /// What is known about a command id.
    pub(super) fn recall(&self, context: CommandContext) -> Option<Recall> {
        self.recent.recall(context)
    }

    /// The memory it uses, in parts of about 100 bytes.
    pub(super) fn weight(&self) -> usize {
        self.state.weight() + self.recent.len() / 2
    }

    /// Reads what follows `last`, page by page. True when there was something.
    pub(super) async fn catch_up(
        &mut self,
        log: &dyn EventLog,
        stream: &StreamId,
    ) -> Result<bool, LogError> {
        let before = self.last;
        loop {
            let page = log.read(stream, self.next(), FOLD_PAGE_EVENTS).await?;
            for envelope in &page.events {
                self.fold(envelope);
            }
            if page.end_of_stream || page.events.is_empty() {
                return Ok(self.last != before);
            }
        }
    }

    /// Takes note of an append whose events the state has seen already.
    pub(super) fn moved_to(&mut self, appended: Appended, metadata: &Metadata, count: usize) {
        self.recent.note(metadata, self.next(), count as u64);
        self.last = Some(appended.revision);
        self.position = appended.position;
    }

    fn fold(&mut self, envelope: &Envelope) {
        if let Some(event) = A::own_event(&envelope.event) {
            Arc::make_mut(&mut self.state).evolve(event);
        }
        self.recent.note(&envelope.metadata, envelope.revision, 1);
        self.last = Some(envelope.revision);
        self.position = envelope.position;
    }

    fn next(&self) -> Revision {
        self.last.map_or(Revision(0), Revision::next)
    }
}

/// Reads the events of a command again, and the position of the last of them.
pub(super) async fn read_back<A: Aggregate>(
    log: &dyn EventLog,
    stream: &StreamId,
    command: &RecentCommand,
) -> Result<(Vec<A::Event>, Position), LogError> {
    let end = command.first.0 + command.count;
    let mut next = command.first;
    let mut events = Vec::new();
    let mut position = Position::START;
    while next.0 < end {
        let wanted = usize::try_from(end - next.0).unwrap_or(usize::MAX);
        let page = log.read(stream, next, wanted.min(FOLD_PAGE_EVENTS)).await?;
        let Some(last) = page.events.last() else {
            return Err(LogError::Unavailable {
                reason: format!("{stream} ends before revision {next}, which was read before"),
            });
        };
        next = last.revision.next();
        position = last.position;
        events.extend(
            page.events
                .iter()
                .filter_map(|envelope| A::own_event(&envelope.event))
                .cloned(),
        );
    }
    Ok((events, position))
}
