//! Each message names the one before, so that a recipient notices what is missing, what comes
//! twice and what was changed behind its back, even when the server lies.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::envelope::{Envelope, Link, Series};

/// How many missing messages of a series are remembered; older ones are taken for lost.
pub const MISSING_MAX: usize = 256;

/// A sender's place in its series to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendingSeries {
    /// Drawn when the series began.
    pub series: Series,
    /// The last counter used, 0 before the first message.
    pub counter: u64,
    /// The link of the last message, zero before the first.
    pub link: Link,
}

impl SendingSeries {
    /// A series that begins.
    #[must_use]
    pub const fn begin(series: Series) -> Self {
        Self {
            series,
            counter: 0,
            link: [0; 32],
        }
    }

    /// The series after `envelope`.
    #[must_use]
    pub fn after(envelope: &Envelope) -> Self {
        Self {
            series: envelope.series,
            counter: envelope.counter,
            link: envelope.link(),
        }
    }
}

/// How a message joins those received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Continuity {
    /// It follows the last one.
    Follows,
    /// It begins a series: a new contact, or a wallet restored from its words.
    Begins,
    /// This many messages before it have not arrived.
    Gap {
        /// How many.
        missing: u64,
    },
    /// One that was missing has arrived after all.
    Late,
    /// It has the right place, but names another message before it than the one received.
    WrongLink,
}

/// It was received before, or has a place that was taken: nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message {counter} of its series was received before")]
pub struct Replayed {
    /// Its place in the series.
    pub counter: u64,
}

/// A recipient's place in a sender's series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedSeries {
    counter: u64,
    link: Link,
    missing: BTreeSet<u64>,
}

impl ReceivedSeries {
    /// Places `envelope` after what is known of its series, and gives what is known then.
    ///
    /// # Errors
    /// [`Replayed`] when its place is taken.
    pub fn receive(
        known: Option<&Self>,
        envelope: &Envelope,
    ) -> Result<(Self, Continuity), Replayed> {
        let Some(known) = known else {
            return Ok(Self::first(envelope));
        };
        let mut next = known.clone();
        if envelope.counter <= known.counter {
            if !next.missing.remove(&envelope.counter) {
                return Err(Replayed {
                    counter: envelope.counter,
                });
            }
            return Ok((next, Continuity::Late));
        }
        let missing = envelope.counter - known.counter - 1;
        next.advance_to(envelope);
        let continuity = match missing {
            0 if envelope.previous == known.link => Continuity::Follows,
            0 => Continuity::WrongLink,
            missing => Continuity::Gap { missing },
        };
        Ok((next, continuity))
    }

    /// How many messages of the series are known to be missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    fn first(envelope: &Envelope) -> (Self, Continuity) {
        let mut series = Self {
            counter: 0,
            link: [0; 32],
            missing: BTreeSet::new(),
        };
        series.advance_to(envelope);
        let continuity = match envelope.counter - 1 {
            0 if envelope.previous == [0; 32] => Continuity::Begins,
            0 => Continuity::WrongLink,
            missing => Continuity::Gap { missing },
        };
        (series, continuity)
    }

    fn advance_to(&mut self, envelope: &Envelope) {
        let recent = envelope
            .counter
            .saturating_sub(u64::try_from(MISSING_MAX).unwrap_or(u64::MAX));
        self.missing
            .extend((self.counter + 1).max(recent)..envelope.counter);
        while self.missing.len() > MISSING_MAX {
            self.missing.pop_first();
        }
        self.counter = envelope.counter;
        self.link = envelope.link();
    }
}

#[cfg(test)]
mod tests {
    use satpost_domain::{MessagingKey, Timestamp};

    use super::*;
    use crate::envelope::Content;

    /// `count` messages of one series.
    fn series(count: u64) -> Vec<Envelope> {
        let mut envelopes: Vec<Envelope> = Vec::new();
        for counter in 1..=count {
            envelopes.push(Envelope {
                sender: MessagingKey::from_stored([1; 32]),
                series: [2; 16],
                counter,
                previous: envelopes.last().map_or([0; 32], Envelope::link),
                sent_at: Timestamp::from_millis(counter),
                token: None,
                content: Content::Text(format!("message {counter}")),
            });
        }
        envelopes
    }

    fn receive_all(envelopes: &[&Envelope]) -> Vec<Result<Continuity, Replayed>> {
        let mut known = None;
        envelopes
            .iter()
            .map(
                |envelope| match ReceivedSeries::receive(known.as_ref(), envelope) {
                    Ok((next, continuity)) => {
                        known = Some(next);
                        Ok(continuity)
                    }
                    Err(replayed) => Err(replayed),
                },
            )
            .collect()
    }

    #[test]
    fn messages_in_order_follow_each_other() {
        let all = series(3);
        assert_eq!(
            receive_all(&[&all[0], &all[1], &all[2]]),
            [
                Ok(Continuity::Begins),
                Ok(Continuity::Follows),
                Ok(Continuity::Follows)
            ]
        );
    }

    #[test]
    fn a_lost_message_is_noticed_and_may_come_late_once() {
        let all = series(4);
        assert_eq!(
            receive_all(&[&all[0], &all[3], &all[1], &all[1], &all[2]]),
            [
                Ok(Continuity::Begins),
                Ok(Continuity::Gap { missing: 2 }),
                Ok(Continuity::Late),
                Err(Replayed { counter: 2 }),
                Ok(Continuity::Late)
            ]
        );
    }

    #[test]
    fn a_repeat_is_refused() {
        let all = series(2);
        assert_eq!(
            receive_all(&[&all[0], &all[1], &all[0], &all[1]])[2..],
            [Err(Replayed { counter: 1 }), Err(Replayed { counter: 2 })]
        );
    }

    #[test]
    fn another_past_is_noticed() {
        let all = series(2);
        let mut forked = all[1].clone();
        forked.previous = [9; 32];
        assert_eq!(
            receive_all(&[&all[0], &forked])[1],
            Ok(Continuity::WrongLink)
        );
        let mut forked = all[0].clone();
        forked.previous = [9; 32];
        assert_eq!(receive_all(&[&forked]), [Ok(Continuity::WrongLink)]);
    }

    #[test]
    fn a_series_joined_late_tells_what_came_before() {
        let all = series(3);
        assert_eq!(
            receive_all(&[&all[2]]),
            [Ok(Continuity::Gap { missing: 2 })]
        );
    }

    #[test]
    fn a_huge_gap_takes_bounded_memory() {
        let mut far = series(1).remove(0);
        far.counter = u64::MAX;
        let (known, continuity) = ReceivedSeries::receive(None, &far).unwrap();
        assert_eq!(
            continuity,
            Continuity::Gap {
                missing: u64::MAX - 1
            }
        );
        assert_eq!(known.missing(), MISSING_MAX);
    }
}
