//! The line of one mailbox.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use satpost_domain::limits::MESSAGE_TTL_MAX;
use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket, StrangerPolicy};
use satpost_domain::{MessagingKey, Revision, Timestamp};

use super::QueueSummary;
use super::places::{Mark, Place, Places};

/// One mailbox. What an idle one does not have stands apart.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) mailbox: MessagingKey,
    /// The last acknowledged message; 0 before the first.
    acknowledged: u64,
    /// Where it was accepted; of no meaning before the first.
    acknowledged_at: Revision,
    pub(super) delivery_tokens: u32,
    pub(super) policy: StrangerPolicy,
    busy: Option<Box<Busy>>,
}

/// What a mailbox has while it is closed or full, or holds anything. Every message after the acknowledged one
/// stands in `line`, whatever became of it: its chain is needed until the acknowledgement has passed.
#[derive(Debug, Default)]
pub(super) struct Busy {
    pub(super) closed: bool,
    /// Since when messages of contacts find no room, if they find none.
    pub(super) full_since: Option<Timestamp>,
    /// By ascending seq, without gaps, from the message after the acknowledged one on.
    pub(super) line: VecDeque<Waiting>,
    /// Parked messages that an acknowledgement has passed, by seq; all of them have a body.
    pub(super) set_aside: BTreeMap<u64, Waiting>,
    /// When the first message that has a body runs out of time.
    deadline: Option<Timestamp>,
}

/// A message that was accepted. The rest of it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Where it was accepted.
    pub(super) revision: Revision,
    pub(super) accepted_at: Timestamp,
    /// How long it may wait, in milliseconds.
    pub(super) ttl_ms: u32,
    pub(super) size: SizeBucket,
    /// True when a stranger has sent it.
    pub(super) knock: bool,
    pub(super) fate: Fate,
    pub(super) parked: Option<ParkReason>,
}

/// What has become of the body of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there.
    Held,
    /// Its recipient is done with it before the acknowledgement has passed it: it was parked, and
    /// acknowledged as such.
    Done,
    /// Only its tombstone is left.
    Gone(GoneReason),
}

impl Busy {
    /// Its queue finds the deadline.
    pub(super) const fn new(
        closed: bool,
        full_since: Option<Timestamp>,
        line: VecDeque<Waiting>,
        set_aside: BTreeMap<u64, Waiting>,
    ) -> Self {
        Self {
            closed,
            full_since,
            line,
            set_aside,
            deadline: None,
        }
    }
}

const _: () = assert!(size_of::<Queue>() <= 64 && size_of::<Waiting>() <= 24);
const _: () = assert!(MESSAGE_TTL_MAX.as_millis() <= u32::MAX as u128);

impl Waiting {
    pub(super) fn new(
        revision: Revision,
        (size, knock): (SizeBucket, bool),
        accepted_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        let ttl = expires_at.since(accepted_at).as_millis();
        Self {
            revision,
            accepted_at,
            ttl_ms: u32::try_from(ttl).unwrap_or(u32::MAX),
            size,
            knock,
            fate: Fate::Held,
            parked: None,
        }
    }

    fn expires_at(&self) -> Timestamp {
        let ttl = Duration::from_millis(self.ttl_ms.into());
        self.accepted_at.plus(ttl)
    }

    /// True while it has a body.
    fn is_held(&self) -> bool {
        self.fate == Fate::Held
    }

    fn place(&self, seq: u64) -> Place {
        Place {
            seq,
            revision: self.revision,
            size: self.size,
            gone: match self.fate {
                Fate::Gone(reason) => Some(reason),
                Fate::Held | Fate::Done => None,
            },
            parked: self.parked,
        }
    }
}

impl Queue {
    pub(super) fn new(mailbox: MessagingKey) -> Self {
        Self {
            mailbox,
            acknowledged: 0,
            acknowledged_at: Revision(0),
            delivery_tokens: 0,
            policy: StrangerPolicy::default(),
            busy: None,
        }
    }

    pub(super) fn from_parts(
        mailbox: MessagingKey,
        (acknowledged, acknowledged_at): (u64, Revision),
        (policy, delivery_tokens): (StrangerPolicy, u32),
        busy: Option<Busy>,
    ) -> Self {
        let mut queue = Self {
            mailbox,
            acknowledged,
            acknowledged_at,
            delivery_tokens,
            policy,
            busy: busy.map(Box::new),
        };
        queue.find_deadline();
        queue.settle();
        queue
    }

    /// The last acknowledged message, and where it was accepted.
    pub(super) const fn acknowledged(&self) -> (u64, Revision) {
        (self.acknowledged, self.acknowledged_at)
    }

    /// What an idle mailbox does not have.
    pub(super) fn busy(&self) -> Option<&Busy> {
        self.busy.as_deref()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.busy().is_some_and(|busy| busy.closed)
    }

    /// When the first message that has a body runs out of time.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.busy()?.deadline
    }

    /// True when no message has a body.
    pub(super) fn is_drained(&self) -> bool {
        self.deadline().is_none()
    }

    pub(super) fn page(&self, after: u64, max_messages: usize, max_bytes: usize) -> Places {
        let passed = after.saturating_sub(self.acknowledged);
        let waiting = self
            .in_line()
            .skip(usize::try_from(passed).unwrap_or(usize::MAX))
            .filter(|(_, waiting)| waiting.parked.is_none());
        let waiting = waiting.map(|(seq, waiting)| waiting.place(seq));
        let (places, more) = fitting(waiting, max_messages, max_bytes);
        let head = places.last().map_or(self.acknowledged_mark(), |last| Mark {
            seq: last.seq,
            revision: last.revision,
        });
        self.places(places, more, head)
    }

    /// Parked messages that have a body, after `after`. The head is the last acknowledged message:
    /// what waits in line is not delivered with them.
    pub(super) fn parked(&self, after: u64, max_messages: usize, max_bytes: usize) -> Places {
        let parked = self
            .held()
            .filter(|(seq, waiting)| waiting.parked.is_some() && *seq > after)
            .map(|(seq, waiting)| waiting.place(seq));
        let (places, more) = fitting(parked, max_messages, max_bytes);
        self.places(places, more, self.acknowledged_mark())
    }

    fn places(&self, places: Vec<Place>, more: bool, head: Mark) -> Places {
        Places {
            mailbox: self.mailbox,
            places,
            more,
            head,
        }
    }

    const fn acknowledged_mark(&self) -> Mark {
        Mark {
            seq: self.acknowledged,
            revision: self.acknowledged_at,
        }
    }

    pub(super) fn summary(&self) -> QueueSummary {
        let parked = self.held().filter(|(_, held)| held.parked.is_some());
        QueueSummary {
            messages: self.held().count(),
            bytes: self.held().map(|(_, held)| held.size.bytes()).sum(),
            parked: parked.count(),
            oldest: self.held().map(|(_, held)| held.accepted_at).min(),
            knocks: self.held().filter(|(_, held)| held.knock).count(),
            acknowledged: self.acknowledged,
            policy: self.policy,
            delivery_tokens: self.delivery_tokens as usize,
            full_since: self.full_since(),
        }
    }

    pub(super) fn full_since(&self) -> Option<Timestamp> {
        self.busy()?.full_since
    }

    pub(super) fn add_tokens(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.delivery_tokens = self.delivery_tokens.saturating_add(count);
    }

    pub(super) fn drop_tokens(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.delivery_tokens = self.delivery_tokens.saturating_sub(count);
    }

    pub(super) fn fill(&mut self, since: Timestamp) {
        self.busy_mut().full_since = Some(since);
    }

    pub(super) fn has_room(&mut self) {
        if let Some(busy) = &mut self.busy {
            busy.full_since = None;
        }
        self.settle();
    }

    /// The messages after the acknowledged one with their seq.
    fn in_line(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        let line = self.busy().into_iter().flat_map(|busy| &busy.line);
        (self.acknowledged + 1..).zip(line)
    }

    /// Messages that have a body with their seq, ascending.
    fn held(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        let set_aside = self.busy().into_iter().flat_map(|busy| &busy.set_aside);
        set_aside
            .map(|(seq, waiting)| (*seq, waiting))
            .chain(self.in_line().filter(|(_, waiting)| waiting.is_held()))
    }

    pub(super) fn accept(&mut self, seq: u64, waiting: Waiting) {
        let in_line = self.busy().map_or(0, |busy| busy.line.len() as u64);
        if seq != self.acknowledged + in_line + 1 {
            return;
        }
        let expires_at = waiting.expires_at();
        let busy = self.busy_mut();
        busy.deadline = Some(
            busy.deadline
                .map_or(expires_at, |first| first.min(expires_at)),
        );
        if busy.line.len() == busy.line.capacity() {
            // Twice as much, as it grows by itself, is too much for very many short lines.
            busy.line.reserve_exact(2 + busy.line.len() / 4);
        }
        busy.line.push_back(waiting);
    }

    pub(super) fn park(&mut self, seq: u64, reason: ParkReason) {
        if let Some(waiting) = self.waiting_mut(seq) {
            waiting.parked = Some(reason);
        }
    }

    pub(super) fn acknowledge(&mut self, through: u64) {
        let mut first: Option<Timestamp> = None;
        while self.acknowledged < through
            && let Some(busy) = &mut self.busy
            && let Some(passed) = busy.line.pop_front()
        {
            self.acknowledged += 1;
            self.acknowledged_at = passed.revision;
            if passed.is_held() && passed.parked.is_some() {
                busy.set_aside.insert(self.acknowledged, passed);
            } else if passed.is_held() {
                let expires_at = passed.expires_at();
                first = Some(first.map_or(expires_at, |first| first.min(expires_at)));
            }
        }
        self.released(first);
    }

    pub(super) fn acknowledge_parked(&mut self, seqs: &[u64]) {
        for &seq in seqs {
            if let Some(waiting) = self.in_line_mut(seq) {
                waiting.fate = Fate::Done;
            } else if let Some(busy) = &mut self.busy {
                busy.set_aside.remove(&seq);
            }
        }
        self.find_deadline();
        self.settle();
    }

    /// The message is gone. In line its tombstone keeps its place; set aside it has none to keep.
    pub(super) fn lose(&mut self, seq: u64, reason: GoneReason) {
        let lost = if let Some(waiting) = self.in_line_mut(seq) {
            waiting.fate = Fate::Gone(reason);
            Some(*waiting)
        } else {
            let busy = self.busy.as_mut();
            busy.and_then(|busy| busy.set_aside.remove(&seq))
        };
        self.released(lost.map(|lost| lost.expires_at()));
    }

    pub(super) fn close(&mut self) {
        self.busy_mut().closed = true;
    }

    fn busy_mut(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    fn waiting_mut(&mut self, seq: u64) -> Option<&mut Waiting> {
        if seq > self.acknowledged {
            return self.in_line_mut(seq);
        }
        self.busy.as_mut()?.set_aside.get_mut(&seq)
    }

    fn in_line_mut(&mut self, seq: u64) -> Option<&mut Waiting> {
        let index = seq.checked_sub(self.acknowledged + 1)?;
        let line = &mut self.busy.as_mut()?.line;
        line.get_mut(usize::try_from(index).ok()?)
    }

    /// Bodies are gone, the earliest of which would have run out of time at `first`. The deadline
    /// is looked for only when it may have been that one: a scan of one line, which is short.
    fn released(&mut self, first: Option<Timestamp>) {
        if first.is_some() && first <= self.deadline() {
            self.find_deadline();
        }
        self.settle();
    }

    fn find_deadline(&mut self) {
        let deadline = self.held().map(|(_, held)| held.expires_at()).min();
        if let Some(busy) = &mut self.busy {
            busy.deadline = deadline;
        }
    }

    /// Gives back memory that is not needed any more.
    fn settle(&mut self) {
        let Some(busy) = &mut self.busy else {
            return;
        };
        let holds = !busy.line.is_empty() || !busy.set_aside.is_empty();
        if !holds && !busy.closed && busy.full_since.is_none() {
            self.busy = None;
        } else if busy.line.len() < busy.line.capacity() / 4 {
            busy.line.shrink_to(busy.line.len() * 2);
        }
    }
}

/// As many as fit, at least one, and whether there are more.
fn fitting(
    waiting: impl Iterator<Item = Place>,
    max_messages: usize,
    max_bytes: usize,
) -> (Vec<Place>, bool) {
    let mut places: Vec<Place> = Vec::new();
    let mut bytes = 0;
    for place in waiting {
        if place.gone.is_none() {
            bytes += place.size.bytes();
        }
        let full = places.len() >= max_messages || bytes > max_bytes;
        if full && !places.is_empty() {
            return (places, true);
        }
        places.push(place);
    }
    (places, false)
}
