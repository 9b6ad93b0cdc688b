//! Who waits for which message: a writer puts a number into the body and waits until the recipient
//! that acknowledged it says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::bench::BenchError;

/// The numbers that are under way.
#[derive(Clone, Default)]
pub struct Tickets(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<()>>,
    /// Why no message comes any more.
    failed: Option<String>,
}

/// Ends when the message is acknowledged.
pub struct Ticket {
    done: oneshot::Receiver<()>,
    tickets: Tickets,
}

impl Tickets {
    /// Writes a new number into `body`.
    pub fn take(&self, body: &mut [u8]) -> Ticket {
        let (sender, done) = oneshot::channel();
        let mut open = self.open();
        open.last += 1;
        let number = open.last;
        if open.failed.is_none() {
            open.waiting.insert(number, sender);
        }
        drop(open);
        if let Some(place) = body.first_chunk_mut() {
            *place = number.to_le_bytes();
        }
        Ticket {
            done,
            tickets: self.clone(),
        }
    }

    /// The message of this body is acknowledged.
    ///
    /// # Errors
    /// When nobody waits for it: it came twice, or from nowhere.
    pub fn done(&self, body: &[u8]) -> Result<(), BenchError> {
        let number = body.first_chunk().map(|number| u64::from_le_bytes(*number));
        let sender = number.and_then(|number| self.open().waiting.remove(&number));
        let Some(sender) = sender else {
            let reason = format!("message {number:?} came twice or from nowhere");
            return Err(BenchError::of("a recipient")(reason));
        };
        // Who waited may have been stopped in between.
        sender.send(()).ok();
        Ok(())
    }

    /// No message comes any more.
    pub fn fail(&self, error: &BenchError) {
        let mut open = self.open();
        open.failed.get_or_insert_with(|| error.to_string());
        open.waiting.clear();
    }

    /// Nothing panics while this is held, so a poisoned lock still guards whole values.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Waits for the acknowledgement.
    ///
    /// # Errors
    /// When the recipients have failed.
    pub async fn acknowledged(self) -> Result<(), BenchError> {
        if self.done.await.is_ok() {
            return Ok(());
        }
        let failed = self.tickets.open().failed.clone();
        Err(BenchError::of("a recipient")(failed.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_comes_twice_is_noticed() {
        let tickets = Tickets::default();
        let mut body = [0; 16];
        let ticket = tickets.take(&mut body);
        tickets.done(&body).unwrap();
        ticket.acknowledged().await.unwrap();
        assert!(tickets.done(&body).is_err());
    }

    #[tokio::test]
    async fn nobody_waits_for_recipients_that_have_failed() {
        let tickets = Tickets::default();
        let mut body = [0; 16];
        let before = tickets.take(&mut body);
        tickets.fail(&BenchError::Interrupted);
        let after = tickets.take(&mut body);
        for ticket in [before, after] {
            let error = ticket.acknowledged().await.unwrap_err();
            assert!(error.to_string().contains("stopped"), "{error}");
        }
    }
}
