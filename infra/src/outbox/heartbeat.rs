//! Wake-ups without a cause, when the operator wants them: whoever sees a push then knows less about whether
//! something has happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use satpost_commands::ports::Chance;
use satpost_domain::{ClientId, Timestamp};

/// Gives every phone one moment in each interval, by chance.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Option<Duration>,
    round_ends: Timestamp,
    moments: BinaryHeap<Reverse<(Timestamp, ClientId)>>,
}

impl Heartbeat {
    /// No wake-ups without a cause when there is no interval.
    pub(super) const fn every(interval: Option<Duration>) -> Self {
        Self {
            interval,
            round_ends: Timestamp::from_millis(0),
            moments: BinaryHeap::new(),
        }
    }

    /// The next phone whose moment has come. `active` names all phones, once an interval.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        active: impl FnOnce() -> Vec<ClientId>,
        chance: &dyn Chance,
    ) -> Option<ClientId> {
        let interval = self.interval?;
        if now >= self.round_ends {
            self.round_ends = now.plus(interval);
            let moment = |client| Reverse((now.plus(interval.mul_f64(chance.fraction())), client));
            // Moments that are still open come first, in the new round.
            self.moments.extend(active().into_iter().map(moment));
        }
        let Reverse((moment, _)) = self.moments.peek()?;
        if *moment > now {
            return None;
        }
        self.moments.pop().map(|Reverse((_, client))| client)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// 0, 1/4, 1/2, 3/4, 0 …
    #[derive(Default)]
    struct Quarters(AtomicU32);

    impl Chance for Quarters {
        fn fraction(&self) -> f64 {
            f64::from(self.0.fetch_add(1, Ordering::SeqCst) % 4) / 4.0
        }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    fn clients() -> Vec<ClientId> {
        (1..=4)
            .map(|byte| ClientId::from_stored([byte; 32]))
            .collect()
    }

    #[test]
    fn gives_every_phone_one_moment_in_each_interval() {
        let mut heartbeat = Heartbeat::every(Some(HOUR));
        let chance = Quarters::default();
        let start = Timestamp::from_millis(1_000_000);
        let mut woken = Vec::new();
        for minute in 0..180 {
            let now = start.plus(Duration::from_secs(60 * minute));
            while let Some(client) = heartbeat.next(now, clients, &chance) {
                woken.push((minute, client));
            }
        }
        let minutes: Vec<_> = woken.iter().map(|(minute, _)| *minute).collect();
        assert_eq!(
            minutes,
            [0, 15, 30, 45, 60, 75, 90, 105, 120, 135, 150, 165]
        );
        for round in woken.chunks(4) {
            let clients_of_round: Vec<_> = round.iter().map(|(_, client)| *client).collect();
            assert_eq!(clients_of_round, clients());
        }
    }

    #[test]
    fn is_silent_when_it_is_off() {
        let mut heartbeat = Heartbeat::every(None);
        let now = Timestamp::from_millis(u64::MAX);
        assert_eq!(heartbeat.next(now, clients, &Quarters::default()), None);
    }
}
