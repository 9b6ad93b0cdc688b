//! What all the models have in common.

use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::test_runner::{Config, FileFailurePersistence};
use satpost_domain::Aggregate;
use satpost_domain::PayloadId;

/// How many cases proptest runs when `PROPTEST_CASES` does not say.
const PROPTEST_CASES_DEFAULT: u32 = 256;

/// Runs this many cases, or `PROPTEST_CASES`, and keeps the seeds of those that fail.
pub(crate) fn config(cases: u32) -> Config {
    let mut config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    };
    if config.cases == PROPTEST_CASES_DEFAULT {
        config.cases = cases;
    }
    config
}

/// An aggregate with its whole history.
#[derive(Debug)]
pub(crate) struct Life<A: Aggregate> {
    pub(crate) state: A,
    pub(crate) history: Vec<A::Event>,
    closed: BTreeSet<PayloadId>,
}

impl<A: Aggregate> Life<A>
where
    A: PartialEq + Debug,
    A::Event: PartialEq + Debug,
    A::Error: PartialEq,
{
    pub(crate) fn new() -> Self {
        Self {
            state: A::default(),
            history: Vec::new(),
            closed: BTreeSet::new(),
        }
    }

    /// Lets `command` happen. Whatever it is: deciding it twice gives the same, a refusal changes
    /// nothing, and no payload is closed a second time.
    pub(crate) fn ask(&mut self, command: &A::Command) -> Result<Vec<A::Event>, A::Error> {
        let decision = self.state.decide(command);
        assert!(
            decision == self.state.decide(command),
            "the same state decides the same"
        );
        let events = decision?;
        for event in &events {
            for payload in self.state.payloads_closed_by(event) {
                assert!(
                    self.closed.insert(payload),
                    "{payload} is closed a second time"
                );
            }
            self.state.evolve(event);
        }
        self.history.extend(events.iter().cloned());
        Ok(events)
    }

    /// Goes on with the state that the history gives, as a restarted server does. `as_read` is
    /// what a reader gets of an event when these payloads are erased.
    pub(crate) fn reload(&mut self, as_read: impl Fn(&A::Event, &BTreeSet<PayloadId>) -> A::Event) {
        let mut replayed = A::default();
        for event in &self.history {
            replayed.evolve(&as_read(event, &self.closed));
        }
        assert_eq!(replayed, self.state, "a replay gives the live state");
        self.state = replayed;
    }

    /// The payloads that were closed so far.
    pub(crate) fn closed(&self) -> &BTreeSet<PayloadId> {
        &self.closed
    }
}
