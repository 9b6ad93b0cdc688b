//! What a sender may rely on.

use satpost_domain::ClientId;
use satpost_domain::limits::{MAILBOX_MESSAGES_MAX, MESSAGE_TTL_DEFAULT};

use super::*;
use crate::register_client::register_client;
use crate::testing::{CONTACT, TestServer, befriend, context, posting};
use crate::wipe_queue::wipe_queue;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);

async fn registered() -> TestServer {
    let server = TestServer::start();
    register_client(&server.handler, context(0), ALICE, KEY)
        .await
        .unwrap();
    befriend(&server.handler, KEY).await;
    server
}

async fn send(
    server: &TestServer,
    number: u64,
    size: usize,
) -> Result<AcceptedMessage, CommandError<MailboxError>> {
    let posting = posting(KEY, vec![7; size]);
    send_message(&server.handler, context(number), &posting).await
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

#[tokio::test]
async fn refuses_who_is_no_contact_and_stores_nothing() {
    let server = registered().await;
    let stranger = Posting {
        introduction: Introduction::default(),
        ..posting(KEY, [7; 512])
    };
    let refused = send_message(&server.handler, context(1), &stranger).await;
    assert!(matches!(
        refused,
        Err(CommandError::Rejected(MailboxError::StrangerRefused))
    ));
    assert!(server.log.held().is_empty());
}

#[tokio::test]
async fn the_log_does_not_say_which_token_a_message_came_with() {
    let server = registered().await;
    send(&server, 1, 512).await.unwrap();
    let last = server.log.history(&StreamId::mailbox(KEY)).pop().unwrap();
    let told = format!("{:?}", last.event);
    assert!(!told.contains(&CONTACT.hash.to_string()), "{told}");
}

#[tokio::test]
async fn a_full_mailbox_notes_once_that_it_turned_somebody_away() {
    let server = registered().await;
    let messages = MAILBOX_MESSAGES_MAX as u64;
    for number in 1..=messages {
        send(&server, number, 512).await.unwrap();
    }
    for number in 1..=2 {
        let refused = send(&server, messages + number, 512).await;
        assert!(matches!(
            refused,
            Err(CommandError::Rejected(MailboxError::Full))
        ));
    }
    assert_eq!(fillings(&server), 1);
}

/// A sender asks again with the same id for as long as it takes.
#[tokio::test]
async fn a_mailbox_that_is_full_again_notes_it_again_whoever_is_turned_away() {
    let server = registered().await;
    for times in 1..=2 {
        for number in 1..=512 {
            // Beyond the ids that are drawn.
            let number = 1_000_000 * times + number;
            send(&server, number, 16 * 1024).await.unwrap();
        }
        let refused = send(&server, 1, 512).await;
        assert!(refused.is_err());
        assert_eq!(fillings(&server) as u64, times);
        let wiped = wipe_queue(&server.handler, context(10 + times), KEY).await;
        assert_eq!(wiped.unwrap().deleted, 512);
    }
}

fn fillings(server: &TestServer) -> usize {
    let history = server.log.history(&StreamId::mailbox(KEY));
    let filled = history.iter().filter(|envelope| {
        let event = &envelope.event;
        matches!(
            event,
            satpost_domain::Event::Mailbox(MailboxEvent::MailboxFilled { .. })
        )
    });
    filled.count()
}
