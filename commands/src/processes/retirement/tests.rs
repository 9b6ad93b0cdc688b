//! Nothing is left of a retired client.

use satpost_domain::limits::EVENTS_PER_COMMAND_MAX;
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchBounds, WatchWish};

use super::*;
use crate::register_client::register_client;
use crate::retire_client::retire_client;
use crate::rotate_messaging_key::rotate_messaging_key;
use crate::send_message::send_message;
use crate::testing::{Fault, TestServer, befriend, context, posting};
use crate::watch_addresses::watch_addresses;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);
const OTHER_KEY: MessagingKey = MessagingKey::from_stored([3; 32]);
const BOUNDS: WatchBounds = WatchBounds::new(Network::Regtest, None);
/// More than one round clears.
const ADDRESSES: usize = EVENTS_PER_COMMAND_MAX + 1;

/// A client with two mailboxes, a message in each, and a long watch list.
async fn well_used() -> TestServer {
    let server = TestServer::start();
    let handler = &server.handler;
    let mut numbers = 0..;
    let mut next = || context(numbers.next().expect("there are enough numbers"));
    register_client(handler, next(), ALICE, KEY).await.unwrap();
    rotate_messaging_key(handler, next(), ALICE, OTHER_KEY)
        .await
        .unwrap();
    for key in [KEY, OTHER_KEY] {
        befriend(handler, key).await;
        send_message(handler, next(), &posting(key, [0; 512]))
            .await
            .unwrap();
    }
    let all: Vec<_> = (0..ADDRESSES)
        .map(|number| Script::new(&number.to_be_bytes()).unwrap())
        .map(|script| (script.into(), WatchWish::default()))
        .collect();
    for some in all.chunks(EVENTS_PER_COMMAND_MAX) {
        watch_addresses(handler, next(), ALICE, some.to_vec(), BOUNDS)
            .await
            .unwrap();
    }
    assert_eq!(server.log.held().len(), ADDRESSES + 2);
    server
}

/// Retires the client and gives the event that says so.
async fn retired(server: &TestServer) -> Envelope {
    retire_client(&server.handler, context(1_000_000), ALICE)
        .await
        .unwrap();
    let mut history = server.log.history(&StreamId::client(ALICE));
    history.pop().expect("the retirement was recorded")
}

async fn assert_nothing_is_left(server: &TestServer) {
    assert!(server.log.held().is_empty());
    for key in [KEY, OTHER_KEY] {
        let stream = StreamId::mailbox(key);
        let mailbox = server.handler.state::<Mailbox>(&stream);
        assert!(!mailbox.await.unwrap().is_open());
    }
}

#[tokio::test]
async fn closes_every_mailbox_and_clears_the_watch_list() {
    let server = well_used().await;
    let event = retired(&server).await;
    handle_event(&server.handler, &event).await.unwrap();
    assert_nothing_is_left(&server).await;
}

#[tokio::test]
async fn runs_again_without_doing_anything_again() {
    let server = well_used().await;
    let event = retired(&server).await;
    handle_event(&server.handler, &event).await.unwrap();
    let erased = server.log.erased().len();
    let server = server.restart();
    handle_event(&server.handler, &event).await.unwrap();
    assert_eq!(server.log.erased().len(), erased);
    // Opened, a token added, a message, its end, closed.
    assert_eq!(server.log.history(&StreamId::mailbox(KEY)).len(), 5);
}

#[tokio::test]
async fn goes_on_after_a_failure_at_any_place() {
    // Two mailboxes and two rounds of the watch list are four appends.
    for failing in 0..4 {
        let server = well_used().await;
        let event = retired(&server).await;
        let faults = std::iter::repeat_n(None, failing);
        server
            .log
            .fail_next(faults.chain([Some(Fault::Unavailable)]));
        assert!(handle_event(&server.handler, &event).await.is_err());
        let server = server.restart();
        clean_up(&server.handler, ALICE).await.unwrap();
        assert_nothing_is_left(&server).await;
    }
}

#[tokio::test]
async fn leaves_a_client_alone_that_is_not_retired() {
    let server = well_used().await;
    clean_up(&server.handler, ALICE).await.unwrap();
    for event in server.log.history(&StreamId::client(ALICE)) {
        assert_eq!(retired_client(&event), None);
        handle_event(&server.handler, &event).await.unwrap();
    }
    assert_eq!(server.log.held().len(), ADDRESSES + 2);
    assert_eq!(steps(&Client::default()), []);
}
