//! The rules.

use crate::aggregate::Aggregate;
use crate::event::Event;

use super::{Chain, ChainCommand, ChainError, ChainEvent};

impl Aggregate for Chain {
    type Command = ChainCommand;
    type Event = ChainEvent;
    type Error = ChainError;

    const CATEGORY: &'static str = "chain";

    fn own_event(event: &Event) -> Option<&ChainEvent> {
        match event {
            Event::Chain(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, _command: &ChainCommand) -> Result<Vec<ChainEvent>, ChainError> {
        todo!()
    }

    fn evolve(&mut self, _event: &ChainEvent) {
        todo!()
    }
}
