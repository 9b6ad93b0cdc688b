//! A log from its beginning, one event after the other, held one page at a time.

use std::collections::VecDeque;

use satpost_commands::ports::LogError;
use satpost_domain::Position;
use satpost_event_store::{EventStore, RecordedEvent};

/// How many events are read at once.
const PAGE_EVENTS: usize = 1_024;

/// The events of a store by position.
pub(super) struct Pages<'a> {
    store: &'a dyn EventStore,
    after: Position,
    page: VecDeque<RecordedEvent>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(store: &'a dyn EventStore) -> Self {
        Self {
            store,
            after: Position::START,
            page: VecDeque::new(),
        }
    }

    /// The next event; nothing at the end of the log as it is now.
    pub(super) async fn next(&mut self) -> Result<Option<RecordedEvent>, LogError> {
        if self.page.is_empty() {
            self.page = self.store.read_all(self.after, PAGE_EVENTS).await?.into();
        }
        let event = self.page.pop_front();
        if let Some(event) = &event {
            self.after = event.position;
        }
        Ok(event)
    }
}
