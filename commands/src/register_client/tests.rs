//! Two streams, one registration.

use satpost_domain::Event;

use super::*;
use crate::retire_client::retire_client;
use crate::rotate_messaging_key::rotate_messaging_key;
use crate::testing::{Fault, TestServer, context};

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const BOB: ClientId = ClientId::from_stored([2; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([3; 32]);
const OTHER_KEY: MessagingKey = MessagingKey::from_stored([4; 32]);

async fn register(
    server: &TestServer,
    number: u64,
    client: ClientId,
    key: MessagingKey,
) -> Result<RegisteredClient, CommandError<RegisterClientError>> {
    register_client(&server.handler, context(number), client, key).await
}

fn events_of(server: &TestServer, stream: &StreamId) -> Vec<Event> {
    let history = server.log.history(stream).into_iter();
    history.map(|envelope| envelope.event).collect()
}

#[tokio::test]
async fn opens_the_mailbox_and_registers_the_client() {
    let server = TestServer::start();
    let registered = register(&server, 1, ALICE, KEY).await.unwrap();
    let client = events_of(&server, &StreamId::client(ALICE));
    assert_eq!(
        client,
        [Event::Client(ClientEvent::ClientRegistered {
            client: ALICE,
            messaging_key: KEY,
            at: registered.registered_at,
        })]
    );
    let mailbox = StreamId::mailbox(KEY);
    let mailbox = server.handler.state::<Mailbox>(&mailbox).await.unwrap();
    assert_eq!(mailbox.owner(), Some(ALICE));
}

#[tokio::test]
async fn registering_again_tells_when_it_was_registered() {
    let server = TestServer::start();
    let first = register(&server, 1, ALICE, KEY).await.unwrap();
    // The same command after a restart, and another command that asks for the same.
    let server = server.restart();
    assert_eq!(register(&server, 1, ALICE, KEY).await.unwrap(), first);
    assert_eq!(register(&server, 2, ALICE, KEY).await.unwrap(), first);
}

#[tokio::test]
async fn two_clients_never_share_a_messaging_key() {
    let server = TestServer::start();
    register(&server, 1, ALICE, KEY).await.unwrap();
    assert!(matches!(
        register(&server, 2, BOB, KEY).await,
        Err(CommandError::Rejected(RegisterClientError::Mailbox(
            MailboxError::OwnedByAnother
        )))
    ));
    assert!(events_of(&server, &StreamId::client(BOB)).is_empty());
}

#[tokio::test]
async fn a_crash_between_the_two_appends_is_mended_by_the_repeat() {
    let server = TestServer::start();
    server.log.fail_next([None, Some(Fault::Unavailable)]);
    assert!(register(&server, 1, ALICE, KEY).await.is_err());
    assert_eq!(events_of(&server, &StreamId::mailbox(KEY)).len(), 1);
    let server = server.restart();
    register(&server, 1, ALICE, KEY).await.unwrap();
    assert_eq!(events_of(&server, &StreamId::mailbox(KEY)).len(), 1);
    assert_eq!(events_of(&server, &StreamId::client(ALICE)).len(), 1);
}

#[tokio::test]
async fn a_refused_registration_opens_no_mailbox() {
    let server = TestServer::start();
    register(&server, 1, ALICE, KEY).await.unwrap();
    assert!(matches!(
        register(&server, 2, ALICE, OTHER_KEY).await,
        Err(CommandError::Rejected(RegisterClientError::Client(
            ClientError::AlreadyRegistered
        )))
    ));
    assert!(events_of(&server, &StreamId::mailbox(OTHER_KEY)).is_empty());
}

#[tokio::test]
async fn a_rotated_key_has_its_own_mailbox_and_the_old_one_stays_open() {
    let server = TestServer::start();
    register(&server, 1, ALICE, KEY).await.unwrap();
    let rotate = |number, client, key| {
        let handler = server.handler.clone();
        async move { rotate_messaging_key(&handler, context(number), client, key).await }
    };
    rotate(2, ALICE, OTHER_KEY).await.unwrap();
    for key in [KEY, OTHER_KEY] {
        let mailbox = StreamId::mailbox(key);
        let mailbox = server.handler.state::<Mailbox>(&mailbox).await.unwrap();
        assert!(mailbox.is_open());
        assert_eq!(mailbox.owner(), Some(ALICE));
    }
    // The registration that was true once is still answered.
    register(&server, 1, ALICE, KEY).await.unwrap();
    let unknown = MessagingKey::from_stored([5; 32]);
    assert!(rotate(3, BOB, unknown).await.is_err());
    assert!(events_of(&server, &StreamId::mailbox(unknown)).is_empty());
}

#[tokio::test]
async fn a_retired_client_stays_retired() {
    let server = TestServer::start();
    register(&server, 1, ALICE, KEY).await.unwrap();
    let retired = retire_client(&server.handler, context(2), ALICE).await;
    let again = retire_client(&server.handler, context(3), ALICE).await;
    assert_eq!(again.unwrap(), retired.unwrap());
    assert!(matches!(
        register(&server, 4, ALICE, OTHER_KEY).await,
        Err(CommandError::Rejected(RegisterClientError::Client(
            ClientError::Retired
        )))
    ));
}
