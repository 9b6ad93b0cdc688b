//! What a sender may rely on.

use satpost_domain::ClientId;
use satpost_domain::limits::MESSAGE_TTL_DEFAULT;

use super::*;
use crate::register_client::register_client;
use crate::testing::{TestServer, context};
use crate::wipe_queue::wipe_queue;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);

async fn registered() -> TestServer {
    let server = TestServer::start();
    register_client(&server.handler, context(0), ALICE, KEY)
        .await
        .unwrap();
    server
}

async fn send(
    server: &TestServer,
    number: u64,
    size: usize,
) -> Result<AcceptedMessage, CommandError<MailboxError>> {
    let body = Arc::from(vec![7; size]);
    send_message(&server.handler, context(number), KEY, body, None).await
}

#[tokio::test]
async fn the_body_is_stored_under_the_id_of_the_message() {
    let server = registered().await;
    let accepted = send(&server, 1, 512).await.unwrap();
    assert_eq!(accepted.digest, sha256(&[7; 512]));
    assert_eq!(
        accepted.expires_at,
        accepted.accepted_at.plus(MESSAGE_TTL_DEFAULT)
    );
    let stored = crate::ports::Payloads::read(server.log.as_ref(), accepted.id.into()).await;
    assert_eq!(stored.unwrap(), Some(vec![7; 512]));
}

#[tokio::test]
async fn a_repeat_gets_the_first_id_also_when_the_message_is_long_gone() {
    let server = registered().await;
    let first = send(&server, 1, 512).await.unwrap();
    wipe_queue(&server.handler, context(2), KEY).await.unwrap();
    let server = server.restart();
    let again = send(&server, 1, 512).await.unwrap();
    assert_eq!(
        again,
        AcceptedMessage {
            repeated: true,
            ..first
        }
    );
    assert!(server.log.held().is_empty());
}

#[tokio::test]
async fn refuses_a_body_that_is_not_padded_and_stores_nothing() {
    let server = registered().await;
    assert!(matches!(
        send(&server, 1, 500).await,
        Err(CommandError::Rejected(MailboxError::NotPadded {
            actual: 500
        }))
    ));
    assert!(server.log.held().is_empty());
}

#[tokio::test]
async fn refuses_the_id_of_a_command_that_was_no_send() {
    let server = registered().await;
    // 0 is the id under which the mailbox was opened.
    assert!(matches!(
        send(&server, 0, 512).await,
        Err(CommandError::IdempotencyMismatch)
    ));
}
