//! Completes a part of a line: what the read model has no memory for stands in the log.

use std::collections::HashMap;

use satpost_domain::mailbox::MailboxEvent;
use satpost_domain::{Event, Revision, StreamId};
use satpost_projections::mailbox_queue::{Places, QueuePage};

use crate::extract::State;
use crate::problem::ApiError;

/// How many events that nobody needs are read along between two that are needed, rather than
/// asking the log once more.
const GAP_MAX: u64 = 32;

/// Reads from the stream of the mailbox what `places` leave out.
///
/// # Errors
/// When the log cannot be read, or does not have what the read model has seen in it.
pub(crate) async fn complete(state: &State, places: Places) -> Result<QueuePage, ApiError> {
    let stream = StreamId::mailbox(places.mailbox);
    let mut accepted: HashMap<Revision, MailboxEvent> = HashMap::new();
    for run in places
        .revisions()
        .chunk_by(|one, next| next.0 - one.0 <= GAP_MAX)
    {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let mut from = *first;
        while from <= *last {
            let max = usize::try_from(last.0 - from.0 + 1).unwrap_or(usize::MAX);
            let page = state.handler.read_stream(&stream, from, max).await?;
            let Some(end) = page.events.last() else {
                break;
            };
            from = end.revision.next();
            let events = page.events.into_iter();
            accepted.extend(events.filter_map(|envelope| match envelope.event {
                Event::Mailbox(event) => Some((envelope.revision, event)),
                _ => None,
            }));
        }
    }
    places
        .complete(|revision| accepted.get(&revision))
        .ok_or_else(|| ApiError::internal("a message that waits is not in the event log"))
}
