//! What the script does: appends of all kinds, over several files of the log and of the payloads,
//! with the log opened anew in between.

use std::sync::Arc;

use satpost_domain::{EventId, PayloadId, StreamId};
use satpost_event_store::NewStoredEvent;
use satpost_tests::random::Random;

/// One append of the script, but for the place it expects.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) events: Vec<NewStoredEvent>,
    pub(super) erase: Vec<PayloadId>,
}

/// A step of the script.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Appends that are sent together, each to another stream.
    Together(Vec<Append>),
    /// Closes the log and opens it again.
    Reopen,
}

/// How large a body is that fills a segment after a few.
const LARGE_BODY: usize = 60_000;
/// The same for payloads.
const LARGE_PAYLOAD: usize = 50_000;
/// After how many appends a payload is erased.
const ERASED_AFTER: usize = 4;

fn stream(number: usize) -> StreamId {
    format!("mailbox-{number}")
        .parse()
        .expect("a category, a dash and a number name a stream")
}

fn event(random: &mut Random, body: usize, payload: Option<usize>) -> NewStoredEvent {
    NewStoredEvent {
        id: EventId::new(random.id()),
        kind: "message_accepted".into(),
        schema: 1,
        body: random.bytes(body),
        metadata: random.bytes(20),
        payload: payload.map(|bytes| {
            let id = PayloadId::new(random.id());
            (id, Arc::from(random.bytes(bytes)))
        }),
    }
}

/// Draws a script of about `appends` appends.
pub(super) fn script(seed: u64, appends: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut steps = Vec::new();
    let mut payloads: Vec<PayloadId> = Vec::new();
    let mut erased = 0;
    for number in 0..appends {
        if number % 7 == 6 {
            steps.push(Step::Reopen);
        }
        let together = if number % 5 == 3 { 3 } else { 1 };
        let mut append_of = |at: usize| {
            let large = at == 0 && number % 3 != 2;
            let payload = match number % 4 {
                0 => Some(LARGE_PAYLOAD),
                1 | 3 => Some(200),
                _ => None,
            };
            let mut events = vec![event(
                &mut random,
                if large { LARGE_BODY } else { 150 },
                payload.filter(|_| at == 0),
            )];
            if number % 6 == 1 {
                events.push(event(&mut random, 90, Some(300)));
            }
            Append {
                stream: stream(at + random.below(2) * 3),
                events,
                erase: Vec::new(),
            }
        };
        let mut appends: Vec<_> = (0..together).map(&mut append_of).collect();
        // Each payload but the last few is erased, some of them together.
        while payloads.len() > erased + ERASED_AFTER && appends[0].erase.len() < 2 {
            appends[0].erase.push(payloads[erased]);
            erased += 1;
        }
        let stored = appends.iter().flat_map(|append| &append.events);
        payloads.extend(stored.filter_map(|event| event.payload.as_ref().map(|(id, _)| *id)));
        steps.push(Step::Together(appends));
        // An erasure alone.
        if number % 9 == 8 {
            let only = Append {
                stream: stream(0),
                events: Vec::new(),
                erase: vec![payloads[erased]],
            };
            erased += 1;
            steps.push(Step::Together(vec![only]));
        }
    }
    steps
}
