//! Given, when, then: a test of an aggregate reads like the rule it checks.

use super::Aggregate;
use crate::event::Event;
use crate::ids::PayloadId;

/// An aggregate with a history.
pub(crate) struct Given<A>(A);

/// Folds `history`; the aggregate is usually named at the call: `given::<Mailbox>([..])`.
pub(crate) fn given<A: Aggregate>(history: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for event in history {
        state.evolve(&event);
    }
    Given(state)
}

impl<A: Aggregate> Given<A> {
    /// Decides one command.
    pub(crate) fn when(self, command: &A::Command) -> When<A> {
        let decision = self.0.decide(command);
        When {
            state: self.0,
            decision,
        }
    }

    /// Lets a command happen and goes on from there; for histories that are easier to tell by what
    /// was asked than by what happened.
    pub(crate) fn after(mut self, command: &A::Command) -> Self {
        let events = self.0.decide(command).expect("the history is accepted");
        for event in &events {
            self.0.evolve(event);
        }
        self
    }

    /// The state as it is now.
    pub(crate) fn state(&self) -> &A {
        &self.0
    }
}

/// A command that was decided.
pub(crate) struct When<A: Aggregate> {
    state: A,
    decision: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> When<A> {
    /// Exactly these events.
    #[track_caller]
    pub(crate) fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Then<A> {
        let events = match self.decision {
            Ok(events) => events,
            Err(error) => panic!("refused: {error}"),
        };
        let expected: Vec<Event> = expected.into_iter().map(Into::into).collect();
        let actual: Vec<Event> = events.iter().cloned().map(Into::into).collect();
        assert_eq!(actual, expected);
        Then {
            state: self.state,
            events,
        }
    }

    /// No event: what was asked for already holds.
    #[track_caller]
    pub(crate) fn then_nothing(self) {
        self.then([]);
    }

    /// This refusal.
    #[track_caller]
    pub(crate) fn then_refused(self, expected: &A::Error)
    where
        A::Error: PartialEq,
    {
        match self.decision {
            Ok(events) => panic!("not refused, but {} events", events.len()),
            Err(error) => assert_eq!(error, *expected),
        }
    }
}

/// Events that were decided as expected.
pub(crate) struct Then<A: Aggregate> {
    state: A,
    events: Vec<A::Event>,
}

impl<A: Aggregate> Then<A> {
    /// Applied in turn, the events close exactly these payloads, in this order.
    #[track_caller]
    pub(crate) fn closing(mut self, expected: impl IntoIterator<Item = PayloadId>) {
        let mut closed = Vec::new();
        for event in &self.events {
            closed.extend(self.state.payloads_closed_by(event));
            self.state.evolve(event);
        }
        assert_eq!(closed, expected.into_iter().collect::<Vec<_>>());
    }
}
