//! Messages find the key that their recipient uses now.

use satpost_domain::limits::MAILBOX_FORWARD_MAX;
use satpost_domain::mailbox::MailboxEvent;

use super::*;
use crate::error::CommandError;
use crate::register_client::register_client;
use crate::rotate_messaging_key::rotate_messaging_key;
use crate::send_message::{AcceptedMessage, send_message};
use crate::testing::{TestServer, befriend, context, posting};

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const FIRST: MessagingKey = MessagingKey::from_stored([2; 32]);
const SECOND: MessagingKey = MessagingKey::from_stored([3; 32]);
const THIRD: MessagingKey = MessagingKey::from_stored([4; 32]);

/// A client whose contacts know its first key.
async fn registered() -> TestServer {
    let server = TestServer::start();
    register_client(&server.handler, context(0), ALICE, FIRST)
        .await
        .unwrap();
    befriend(&server.handler, FIRST).await;
    server
}

async fn rotate(server: &TestServer, number: u64, to: MessagingKey) {
    rotate_messaging_key(&server.handler, context(number), ALICE, to)
        .await
        .unwrap();
}

/// Gives the process everything that ever happened to the client.
async fn follow(server: &TestServer) {
    for envelope in server.log.history(&StreamId::client(ALICE)) {
        handle_event(&server.handler, &envelope).await.unwrap();
    }
}

async fn send(
    server: &TestServer,
    number: u64,
    to: MessagingKey,
) -> Result<AcceptedMessage, CommandError<MailboxError>> {
    send_message(&server.handler, context(number), &posting(to, [0; 512])).await
}

fn accepted(server: &TestServer, mailbox: MessagingKey) -> usize {
    let history = server.log.history(&StreamId::mailbox(mailbox));
    let is_message = |envelope: &&Envelope| {
        let event = &envelope.event;
        matches!(event, Event::Mailbox(MailboxEvent::MessageAccepted { .. }))
    };
    history.iter().filter(is_message).count()
}

#[tokio::test]
async fn a_message_to_a_former_key_reaches_the_present_mailbox() {
    let server = registered().await;
    rotate(&server, 1, SECOND).await;
    rotate(&server, 2, THIRD).await;
    follow(&server).await;
    send(&server, 10, FIRST).await.unwrap();
    send(&server, 11, SECOND).await.unwrap();
    send(&server, 12, THIRD).await.unwrap();
    assert_eq!(accepted(&server, FIRST), 0);
    assert_eq!(accepted(&server, SECOND), 0);
    assert_eq!(accepted(&server, THIRD), 3);
}

#[tokio::test]
async fn a_repeat_of_a_message_that_was_passed_on_is_one_message() {
    let server = registered().await;
    rotate(&server, 1, SECOND).await;
    follow(&server).await;
    let first = send(&server, 10, FIRST).await.unwrap();
    let server = server.restart();
    let again = send(&server, 10, FIRST).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.id, first.id);
    assert_eq!(accepted(&server, SECOND), 1);
}

#[tokio::test]
async fn a_message_that_came_before_the_rotation_is_not_taken_again() {
    let server = registered().await;
    let first = send(&server, 10, FIRST).await.unwrap();
    rotate(&server, 1, SECOND).await;
    follow(&server).await;
    assert_eq!(send(&server, 10, FIRST).await.unwrap().id, first.id);
    assert_eq!(accepted(&server, SECOND), 0);
}

#[tokio::test]
async fn following_twice_or_late_changes_nothing() {
    let server = registered().await;
    rotate(&server, 1, SECOND).await;
    follow(&server).await;
    let appended = server.log.attempts().len();
    follow(&server).await;
    assert_eq!(server.log.attempts().len(), appended);

    rotate(&server, 2, FIRST).await;
    follow(&server).await;
    send(&server, 10, FIRST).await.unwrap();
    send(&server, 11, SECOND).await.unwrap();
    assert_eq!(accepted(&server, FIRST), 2, "the first key is in use again");
}

#[tokio::test]
async fn a_former_key_is_forgotten_after_a_while() {
    let server = registered().await;
    rotate(&server, 1, SECOND).await;
    follow(&server).await;
    let while_ = u64::try_from(MAILBOX_FORWARD_MAX.as_millis()).unwrap();
    server.clock.advance(while_);
    assert!(matches!(
        send(&server, 10, FIRST).await,
        Err(CommandError::Rejected(MailboxError::NotOpen))
    ));
}
