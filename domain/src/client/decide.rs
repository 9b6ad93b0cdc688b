//! The rules.

use crate::aggregate::Aggregate;
use crate::event::Event;

use super::{Client, ClientCommand, ClientError, ClientEvent};

impl Aggregate for Client {
    type Command = ClientCommand;
    type Event = ClientEvent;
    type Error = ClientError;

    const CATEGORY: &'static str = "client";

    fn own_event(event: &Event) -> Option<&ClientEvent> {
        match event {
            Event::Client(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, _command: &ClientCommand) -> Result<Vec<ClientEvent>, ClientError> {
        todo!()
    }

    fn evolve(&mut self, _event: &ClientEvent) {
        todo!()
    }
}
