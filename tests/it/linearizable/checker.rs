//! Is a history one of a queue? Every message that was accepted has one place in it, in the order in
//! which it could have been sent; a message leaves the line when a device says so, not before, and
//! does not come back. What nobody was told may have happened or not.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use satpost_domain::MessageId;
use satpost_domain::mailbox::{chain_start, extend_chain};

use super::history::{Delivered, Fetch, History, Part, Said, Tag, Time};

/// Every way in which the server broke its word.
pub(super) fn faults(history: &History) -> Vec<String> {
    let mut checker = Checker {
        history,
        places: BTreeMap::new(),
        parked: BTreeMap::new(),
        faults: history.noticed.clone(),
    };
    checker.place_everything();
    checker.note_answers();
    checker.note_parked();
    checker.check_chain();
    checker.check_sends();
    checker.check_order();
    checker.check_line();
    checker.check_parked();
    checker.check_counts();
    checker.faults
}

struct Checker<'h> {
    history: &'h History,
    /// What was delivered at each place, and since when it was certainly there.
    places: BTreeMap<u64, (Delivered, Time)>,
    /// Since when each message may have been set aside.
    parked: BTreeMap<MessageId, Time>,
    faults: Vec<String>,
}

impl Checker<'_> {
    fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// A place holds one message, whoever asks and whenever; a message has one place.
    fn place_everything(&mut self) {
        let mut tags: BTreeMap<Tag, u64> = BTreeMap::new();
        let mut ids: BTreeMap<MessageId, u64> = BTreeMap::new();
        for fetch in &self.history.fetches {
            let seqs = fetch.messages.iter().map(|message| message.seq);
            if !seqs.is_sorted_by(|left, right| left < right) {
                self.faults
                    .push("a page is not in the order of seq".to_owned());
            }
            for message in &fetch.messages {
                let place = self.places.entry(message.seq);
                let (known, since) = place.or_insert((*message, fetch.answered));
                *since = (*since).min(fetch.answered);
                if known != message {
                    self.faults
                        .push(format!("{known:?} has become {message:?}"));
                }
                for doubled in [
                    tags.insert(message.tag, message.seq),
                    ids.insert(message.id, message.seq),
                ] {
                    if let Some(other) = doubled.filter(|other| *other != message.seq) {
                        self.faults.push(format!(
                            "{:?} is doubled: at {other} and at {}",
                            message.tag, message.seq
                        ));
                    }
                }
            }
        }
    }

    /// A message is there when its sender is told so, at the latest.
    fn note_answers(&mut self) {
        let mut answers: BTreeMap<Tag, Time> = BTreeMap::new();
        let answered = self.history.sends.iter().filter(|send| send.id.is_some());
        for (tag, answered) in answered.filter_map(|send| Some((send.tag, send.span.answered?))) {
            let first = answers.entry(tag).or_insert(answered);
            *first = (*first).min(answered);
        }
        for (message, there) in self.places.values_mut() {
            let answered = answers.get(&message.tag).copied();
            *there = (*there).min(answered.unwrap_or(*there));
        }
    }

    fn note_parked(&mut self) {
        for settle in &self.history.settles {
            if let Said::Park(ids) = &settle.said {
                for id in ids {
                    let first = self.parked.entry(*id).or_insert(settle.span.asked);
                    *first = (*first).min(settle.span.asked);
                }
            }
        }
    }

    /// Places have no gaps, the chain recomputes, and what the server has signed is on it.
    fn check_chain(&mut self) {
        let mut chain = chain_start(&self.history.queue);
        let mut chains = BTreeMap::from([(0, chain)]);
        let mut faults = Vec::new();
        for (next, (seq, (message, _))) in (1..).zip(&self.places) {
            if *seq != next {
                faults.push(format!("nothing was ever delivered at {next}"));
                break;
            }
            chain = extend_chain(chain, *seq, message.id, message.digest);
            if chain != message.chain {
                faults.push(format!("the chain breaks at {seq}"));
                break;
            }
            chains.insert(*seq, chain);
        }
        for fetch in &self.history.fetches {
            let (seq, chain) = fetch.head;
            if chains.get(&seq).is_some_and(|known| *known != chain) {
                faults.push(format!("a head at {seq} is not on the chain"));
            }
        }
        self.faults.extend(faults);
    }

    /// What was answered is in its place, under the id it was given; nothing else is there.
    fn check_sends(&mut self) {
        let placed: BTreeMap<Tag, MessageId> = self
            .places
            .values()
            .map(|(message, _)| (message.tag, message.id))
            .collect();
        let mut given: BTreeMap<Tag, MessageId> = BTreeMap::new();
        let mut faults = Vec::new();
        for send in &self.history.sends {
            let Some(id) = send.id else {
                continue;
            };
            let first = *given.entry(send.tag).or_insert(id);
            if first != id {
                faults.push(format!("{:?} was given two ids", send.tag));
            }
            match placed.get(&send.tag) {
                Some(placed) if *placed != id => {
                    faults.push(format!("{:?} came under another id", send.tag));
                }
                None if self.history.is_drained => {
                    faults.push(format!("{:?} was accepted and is lost", send.tag));
                }
                Some(_) | None => {}
            }
        }
        let sent: BTreeSet<Tag> = self.history.sends.iter().map(|send| send.tag).collect();
        for tag in placed.keys().filter(|tag| !sent.contains(tag)) {
            faults.push(format!("{tag:?} was never sent"));
        }
        faults.dedup();
        self.faults.extend(faults);
    }

    /// A message that was there before another one was sent stands before it.
    fn check_order(&mut self) {
        let mut asked: BTreeMap<Tag, Time> = BTreeMap::new();
        for send in &self.history.sends {
            let first = asked.entry(send.tag).or_insert(send.span.asked);
            *first = (*first).min(send.span.asked);
        }
        let mut faults = Vec::new();
        // Of the messages behind, the one that was there first.
        let mut behind: Option<(Time, Tag)> = None;
        for (message, there) in self.places.values().rev() {
            let Some(asked) = asked.get(&message.tag).copied() else {
                continue;
            };
            if *there < asked {
                faults.push(format!("{:?} was there before it was sent", message.tag));
            }
            if let Some((since, tag)) = behind.filter(|(since, _)| *since < asked) {
                faults.push(format!(
                    "{tag:?} stands behind {:?}, but was there at {since} before that was sent at {asked}",
                    message.tag
                ));
            }
            let this = (*there, message.tag);
            behind = Some(behind.map_or(this, |behind| behind.min(this)));
        }
        self.faults.extend(faults);
    }

    /// A page of the line begins where devices have said it does, and leaves out only what they parked.
    fn check_line(&mut self) {
        let mut faults = Vec::new();
        let lines = self.history.fetches.iter();
        for fetch in lines.filter(|fetch| fetch.part == Part::Line) {
            let acknowledged = self.certainly_through(fetch.asked);
            for message in &fetch.messages {
                if message.seq <= acknowledged {
                    faults.push(format!(
                        "{} came back: everything through {acknowledged} was acknowledged",
                        message.seq
                    ));
                }
            }
            // Through here somebody has at least asked.
            let asked = self.perhaps_through(fetch.answered);
            let listed: BTreeSet<u64> = fetch.messages.iter().map(|message| message.seq).collect();
            let end = listed.last().copied();
            if end.is_none() && fetch.head.0 > asked {
                faults.push(format!(
                    "the line begins behind {}, but nobody has let go of more than {asked}",
                    fetch.head.0
                ));
            }
            let end = end.unwrap_or(0);
            for (seq, (message, there)) in self.places.range(asked + 1..) {
                let is_due = *seq < end || fetch.is_whole && *there < fetch.asked;
                if is_due && !listed.contains(seq) && !self.is_perhaps_parked(message.id, fetch) {
                    faults.push(format!("{seq} is missing, and nobody has let it go"));
                }
            }
        }
        self.faults.extend(faults);
    }

    /// What is listed as parked was parked, and is not done with.
    fn check_parked(&mut self) {
        let mut faults = Vec::new();
        let parked = self.history.fetches.iter();
        for fetch in parked.filter(|fetch| fetch.part == Part::Parked) {
            let done: BTreeSet<MessageId> = self
                .history
                .settles
                .iter()
                .filter(|settle| settle.is_done)
                .filter(|settle| {
                    let answered = settle.span.answered;
                    answered.is_some_and(|answered| answered < fetch.asked)
                })
                .filter_map(|settle| match &settle.said {
                    Said::Done(ids) => Some(ids),
                    Said::Through(_) | Said::Park(_) => None,
                })
                .flatten()
                .copied()
                .collect();
            for message in &fetch.messages {
                if !self.is_perhaps_parked(message.id, fetch) {
                    faults.push(format!("{} is parked by nobody", message.seq));
                }
                if done.contains(&message.id) {
                    faults.push(format!("{} came back from what was parked", message.seq));
                }
            }
        }
        self.faults.extend(faults);
    }

    /// Every message was let go once, when all are and all answers are known.
    fn check_counts(&mut self) {
        let settles = &self.history.settles;
        let all_known = settles.iter().all(|settle| settle.span.answered.is_some());
        let deleted: u64 = settles.iter().map(|settle| settle.deleted).sum();
        let accepted = self.places.len() as u64;
        if deleted > accepted || self.history.is_drained && all_known && deleted != accepted {
            self.fault(format!("{accepted} messages came, {deleted} were let go"));
        }
    }

    /// Through where the line was acknowledged at `time`, as somebody was told.
    fn certainly_through(&self, time: Time) -> u64 {
        self.through(|settle_is_done, _, answered| {
            settle_is_done && answered.is_some_and(|answered| answered < time)
        })
    }

    /// Through where it may have been.
    fn perhaps_through(&self, time: Time) -> u64 {
        self.through(|_, asked, _| asked < time)
    }

    fn through(&self, counts: impl Fn(bool, Time, Option<Time>) -> bool) -> u64 {
        let settles = self.history.settles.iter();
        settles
            .filter(|settle| counts(settle.is_done, settle.span.asked, settle.span.answered))
            .map(|settle| match settle.said {
                Said::Through(seq) => seq,
                Said::Park(_) | Said::Done(_) => 0,
            })
            .max()
            .unwrap_or(0)
    }

    /// True when somebody asked for the message to be parked before `fetch` was answered.
    fn is_perhaps_parked(&self, id: MessageId, fetch: &Fetch) -> bool {
        let asked = self.parked.get(&id);
        asked.is_some_and(|asked| *asked < fetch.answered)
    }
}
