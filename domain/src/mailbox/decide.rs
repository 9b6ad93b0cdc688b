//! The rules.

use crate::aggregate::Aggregate;
use crate::event::Event;

use super::{Mailbox, MailboxCommand, MailboxError, MailboxEvent};

impl Aggregate for Mailbox {
    type Command = MailboxCommand;
    type Event = MailboxEvent;
    type Error = MailboxError;

    const CATEGORY: &'static str = "mailbox";

    fn own_event(event: &Event) -> Option<&MailboxEvent> {
        match event {
            Event::Mailbox(event) => Some(event),
            _ => None,
        }
    }

    fn decide(&self, _command: &MailboxCommand) -> Result<Vec<MailboxEvent>, MailboxError> {
        todo!()
    }

    fn evolve(&mut self, _event: &MailboxEvent) {
        todo!()
    }
}
