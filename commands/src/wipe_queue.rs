//! Lets go of every message in a mailbox; tombstones stay.

use satpost_domain::mailbox::{Mailbox, MailboxCommand, MailboxError, MailboxEvent};
use satpost_domain::{MessagingKey, Position, StreamId, Timestamp};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// What a wipe did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WipedQueue {
    /// How many bodies were forgotten.
    pub deleted: u64,
    /// When.
    pub at: Timestamp,
    /// A reader at this position sees it.
    pub position: Position,
}

/// Lets go of every message in `mailbox`, parked ones too. Nothing happens when it holds none.
///
/// # Errors
/// The aggregate's refusal.
pub async fn wipe_queue(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
) -> Result<WipedQueue, CommandError<MailboxError>> {
    let now = handler.now();
    let command = MailboxCommand::Wipe { at: now };
    let stream = StreamId::mailbox(mailbox);
    let outcome = handler
        .handle::<Mailbox>(&stream, context, &command, None)
        .await?;
    let mut wiped = WipedQueue {
        deleted: 0,
        at: now,
        position: outcome.position,
    };
    for event in &outcome.events {
        if let MailboxEvent::MessageGone { at, .. } = event {
            wiped.deleted += 1;
            // A repeat tells when it was done the first time.
            wiped.at = *at;
        }
    }
    Ok(wiped)
}

#[cfg(test)]
mod tests {
    use satpost_domain::ClientId;

    use super::*;
    use crate::register_client::register_client;
    use crate::send_message::send_message;
    use crate::testing::{TestServer, befriend, context, posting};

    const ALICE: ClientId = ClientId::from_stored([1; 32]);
    const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);

    #[tokio::test]
    async fn a_repeat_tells_what_was_forgotten_and_when() {
        let server = TestServer::start();
        register_client(&server.handler, context(0), ALICE, KEY)
            .await
            .unwrap();
        befriend(&server.handler, KEY).await;
        for number in 1..=3 {
            let posting = posting(KEY, [0; 512]);
            send_message(&server.handler, context(number), &posting)
                .await
                .unwrap();
        }
        let wipe = async |server: &TestServer, number| {
            wipe_queue(&server.handler, context(number), KEY)
                .await
                .unwrap()
        };
        let wiped = wipe(&server, 4).await;
        assert_eq!(wiped.deleted, 3);
        let empty = wipe(&server, 5).await;
        assert_eq!(empty.deleted, 0);
        assert!(empty.at > wiped.at);
        let server = server.restart();
        assert_eq!(wipe(&server, 4).await, wiped);
    }
}
