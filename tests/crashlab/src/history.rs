//! What was asked of a log and what it answered, and every way in which the log can break its word
//! afterwards.
//!
//! Nothing acknowledged is lost, nothing refused and nothing that nobody sent is there, an append
//! is there wholly or not at all and once, streams have no gaps, what was erased is unreadable and
//! what was not erased is readable.

use std::collections::{BTreeMap, HashMap, HashSet};

use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use satpost_event_store::{EventStore, NewStoredEvent, RecordedEvent};

use crate::report::Verdict;

/// How much is read at once.
const PAGE_EVENTS: usize = 1_000;

/// What became of an append, as far as the one who asked knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Acknowledged(Appended),
    /// It changed nothing.
    Refused,
    /// It may have happened.
    Unknown,
}

/// One append.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The stream.
    pub stream: StreamId,
    /// Where the stream was expected to be.
    pub expected: Expected,
    /// What was appended.
    pub events: Vec<NewStoredEvent>,
    /// What it erases.
    pub erase: Vec<PayloadId>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Attempt {
    /// Appends to `store`, and notes the outcome.
    pub async fn carry_out(&mut self, store: &dyn EventStore) -> Result<Appended, LogError> {
        let (events, erase) = (self.events.clone(), self.erase.clone());
        let answer = store
            .append(&self.stream, self.expected, events, erase)
            .await;
        self.outcome = match &answer {
            Ok(appended) => Outcome::Acknowledged(*appended),
            Err(LogError::Unknown { .. }) => Outcome::Unknown,
            Err(_) => Outcome::Refused,
        };
        answer
    }
}

/// Everything that was asked of one log.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In the order in which it was asked.
    pub attempts: Vec<Attempt>,
    /// The number of the next append, where appends are numbered.
    pub(crate) next_number: u64,
}

impl History {
    /// How many appends were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        let outcomes = self.attempts.iter().map(|attempt| attempt.outcome);
        outcomes
            .filter(|outcome| matches!(outcome, Outcome::Acknowledged(_)))
            .count() as u64
    }

    /// Reads the whole log and compares.
    pub async fn check(&self, store: &dyn EventStore) -> Verdict {
        let mut verdict = Verdict::default();
        if let Err(error) = self.compare(store, &mut verdict).await {
            verdict.unreadable = Some(error.to_string());
            verdict.fault(format!("the log cannot be read: {error}"));
        }
        verdict
    }

    /// Compares, and takes what is there of the unanswered appends for certain: it was read, so
    /// it may never go away again, and what is not there may never come.
    pub async fn check_and_settle(&mut self, store: &dyn EventStore) -> Verdict {
        let verdict = self.check(store).await;
        if let Ok(events) = read_everything(store).await {
            let found: HashMap<_, _> = events.iter().map(|event| (event.id, event)).collect();
            for attempt in &mut self.attempts {
                if attempt.outcome == Outcome::Unknown
                    && let Some(last) = attempt.events.last()
                {
                    attempt.outcome =
                        found
                            .get(&last.id)
                            .map_or(Outcome::Refused, |event: &&RecordedEvent| {
                                Outcome::Acknowledged(Appended {
                                    revision: event.revision,
                                    position: event.position,
                                })
                            });
                }
            }
        }
        verdict
    }

    async fn compare(&self, store: &dyn EventStore, verdict: &mut Verdict) -> Result<(), LogError> {
        let events = read_everything(store).await?;
        check_places(&events, verdict);
        if store.head().await? != Position::new(events.len() as u64, 0) {
            verdict.fault("the head is not the position of the last event");
        }
        let by_id = self.check_contents(&events, verdict);
        for (number, attempt) in self.attempts.iter().enumerate() {
            check_attempt(number, attempt, &by_id, verdict);
        }
        check_streams(store, &events, verdict).await?;
        self.check_payloads(store, &by_id, verdict).await
    }

    /// Every event is one that was sent, and is there once.
    fn check_contents<'a>(
        &self,
        events: &'a [RecordedEvent],
        verdict: &mut Verdict,
    ) -> HashMap<EventId, &'a RecordedEvent> {
        let sent: HashMap<_, _> = self
            .attempts
            .iter()
            .flat_map(|attempt| {
                attempt
                    .events
                    .iter()
                    .map(move |event| (event.id, (attempt, event)))
            })
            .collect();
        let mut by_id = HashMap::new();
        for found in events {
            if by_id.insert(found.id, found).is_some() {
                verdict.fault(format!("event {} is there twice", found.position));
            }
            let Some((attempt, event)) = sent.get(&found.id) else {
                verdict.fault(format!("nobody sent the event at {}", found.position));
                continue;
            };
            let same = found.stream == attempt.stream
                && found.kind == event.kind
                && found.schema == event.schema
                && found.body == event.body
                && found.metadata == event.metadata
                && found.payload == event.payload.as_ref().map(|(id, _)| *id);
            if !same {
                verdict.fault(format!(
                    "the event at {} is not what was sent",
                    found.position
                ));
            }
        }
        by_id
    }

    /// What was erased is unreadable, everything else is readable.
    async fn check_payloads(
        &self,
        store: &dyn EventStore,
        by_id: &HashMap<EventId, &RecordedEvent>,
        verdict: &mut Verdict,
    ) -> Result<(), LogError> {
        let mut erased: HashSet<&PayloadId> = HashSet::new();
        let mut perhaps = erased.clone();
        for attempt in &self.attempts {
            let there = match attempt.events.first() {
                Some(first) => by_id.contains_key(&first.id),
                None => matches!(attempt.outcome, Outcome::Acknowledged(_)),
            };
            if there {
                erased.extend(&attempt.erase);
            } else if attempt.events.is_empty() && attempt.outcome == Outcome::Unknown {
                perhaps.extend(&attempt.erase);
            }
        }
        for (number, attempt) in self.attempts.iter().enumerate() {
            for event in &attempt.events {
                let Some((id, bytes)) = &event.payload else {
                    continue;
                };
                let there = by_id.contains_key(&event.id);
                match store.payload(*id).await? {
                    Some(_) if !there => {
                        verdict.fault(format!("append {number}: a payload without its event"));
                    }
                    Some(_) if erased.contains(id) => {
                        verdict.fault(format!("append {number}: its erased payload is readable"));
                    }
                    Some(found) if found[..] != bytes[..] => {
                        verdict.fault(format!("append {number}: its payload is not what was sent"));
                    }
                    None if there && !erased.contains(id) && !perhaps.contains(id) => {
                        verdict.fault(format!("append {number}: its payload is lost"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// All events, by position.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub async fn read_everything(store: &dyn EventStore) -> Result<Vec<RecordedEvent>, LogError> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(Position::START, |last| last.position);
        let page = store.read_all(after, PAGE_EVENTS).await?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

/// Positions and revisions count up without gaps.
fn check_places(events: &[RecordedEvent], verdict: &mut Verdict) {
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for (place, event) in (1..).zip(events) {
        if event.position != Position::new(place, 0) {
            verdict.fault(format!("position {} in place {place}", event.position));
        }
        let next = ends.entry(event.stream.as_str()).or_default();
        if event.revision != Revision(*next) {
            verdict.fault(format!(
                "{} has revision {} in place {next}",
                event.stream, event.revision
            ));
        }
        *next += 1;
    }
}

/// Reading a stream gives what reading everything gives.
async fn check_streams(
    store: &dyn EventStore,
    events: &[RecordedEvent],
    verdict: &mut Verdict,
) -> Result<(), LogError> {
    let mut streams: BTreeMap<&StreamId, Vec<&RecordedEvent>> = BTreeMap::new();
    for event in events {
        streams.entry(&event.stream).or_default().push(event);
    }
    for (stream, wanted) in streams {
        let mut found = Vec::new();
        loop {
            let from = Revision(found.len() as u64);
            let page = store.read_stream(stream, from, PAGE_EVENTS).await?;
            found.extend(page.events);
            if page.end_of_stream {
                break;
            }
        }
        if !found.iter().eq(wanted) {
            verdict.fault(format!("{stream} has other events than the log"));
        }
    }
    Ok(())
}

/// An append is there wholly and where it was said to be, or not at all.
fn check_attempt(
    number: usize,
    attempt: &Attempt,
    by_id: &HashMap<EventId, &RecordedEvent>,
    verdict: &mut Verdict,
) {
    let found: Vec<_> = attempt
        .events
        .iter()
        .filter_map(|event| by_id.get(&event.id))
        .collect();
    let whole = found.len() == attempt.events.len();
    let together = found
        .windows(2)
        .all(|pair| pair[1].revision == pair[0].revision.next());
    let there = !found.is_empty();
    if there && (!whole || !together) {
        verdict.fault(format!("append {number} is there in part"));
    }
    match attempt.outcome {
        Outcome::Acknowledged(appended) => {
            let place = found.last().map(|event| (event.revision, event.position));
            let as_told = place == Some((appended.revision, appended.position));
            if attempt.events.is_empty() || (whole && as_told) {
                verdict.ok += 1;
            } else if whole {
                verdict.fault(format!("append {number} is not where it was said to be"));
            } else {
                verdict.lost += 1;
                verdict.fault(format!("append {number} was acknowledged and is lost"));
            }
        }
        Outcome::Refused if there => {
            verdict.fault(format!("append {number} was refused and is there"));
        }
        Outcome::Refused => {}
        Outcome::Unknown => verdict.unknown += 1,
    }
}
