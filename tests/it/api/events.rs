//! The live feed of changes: exactly once over drops and restarts, bounded, for its owner only.

pub(crate) mod stream;

use std::sync::Arc;
use std::time::Duration;

use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::transactions::{ListTransactionsResponse, TransactionStatus};
use satpost_domain::Position;
use satpost_domain::chain::ChainEvent;
use satpost_domain::limits::{EVENT_HEARTBEAT, EVENT_STREAMS_PER_CLIENT_MAX, EVENTS_PER_LOOK_MAX};
use satpost_event_store::memory::MemoryEventStore;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;
use stream::{Chain, Stream, block, confirmed, evicted, seen, unconfirmed};

const ADDRESSES: [&str; 2] = [
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
];
/// Longer than anything takes that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for what must not happen to happen.
const MOMENT: Duration = Duration::from_millis(300);

async fn watching(number: u64, address: &str, server: &HttpServer) -> Wallet {
    let wallet = Wallet::registered(number, server).await;
    let watched = wallet.watch(&[address]).send(server).await;
    assert_eq!(watched.status.as_u16(), 200, "{}", watched.text());
    wallet
}

/// A transaction's way of `steps` steps, beginning with transaction `first`.
fn ways(first: u32, transactions: u32, address: &str) -> Vec<ChainEvent> {
    (first..first + transactions)
        .flat_map(|id| [seen(id, address), confirmed(id, address, 101)])
        .collect()
}

#[tokio::test]
async fn tells_every_step_as_it_happens_under_its_name() {
    let server = HttpServer::start().await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let mut stream = Stream::open(&wallet, "/v1/events", &server).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-store"));
    let mut chain = Chain::of(&server);
    for (event, name) in [
        (seen(1, ADDRESSES[0]), "seen"),
        (confirmed(1, ADDRESSES[0], 101), "confirmed"),
        (unconfirmed(1, ADDRESSES[0], 101), "unconfirmed"),
        (evicted(1, ADDRESSES[0]), "evicted"),
    ] {
        let at = chain.append(vec![event]).await;
        let told = stream.next().await;
        assert_eq!(
            (told.name.as_str(), told.id.clone()),
            (name, at.to_string())
        );
        assert_eq!(told.change.step.position, at.to_string());
        assert_eq!(told.change.address, ADDRESSES[0]);
        assert_eq!(told.change.received_sat, 5_000);
    }
    // The list tells the same steps under the same positions.
    let list = Request::query("/v1/transactions", &wallet.identity);
    let list: ListTransactionsResponse = list.send(&server).await.expect(200);
    assert_eq!(list.transactions[0].history.len(), 4);
    assert_eq!(list.cursor, stream.last_id());
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn goes_on_after_the_last_event_without_a_loss_or_a_repeat() {
    let store = Arc::new(MemoryEventStore::new());
    let mut server = HttpServer::start_over(store.clone()).await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let mut told: Vec<(String, String)> = Vec::new();
    let mut expected = 0;
    for round in 0..12_u32 {
        let mut chain = Chain::of(&server);
        // Half of it happens while nobody listens.
        chain.append(ways(100 * round, 5, ADDRESSES[0])).await;
        let after = told.last().map_or(String::new(), |(id, _)| id.clone());
        let mut stream = match round % 2 {
            0 => Stream::resume(&wallet, &after, &server).await,
            _ => Stream::open(&wallet, &format!("/v1/events?after={after}"), &server).await,
        };
        chain.append(ways(100 * round + 50, 5, ADDRESSES[0])).await;
        expected += 20;
        // The connection is cut somewhere in the middle of what is to be told.
        let take = if round == 11 {
            expected
        } else {
            told.len() + 1 + round as usize
        };
        while told.len() < take.min(expected) {
            let event = stream.next().await;
            told.push((event.id, event.change.txid));
        }
        drop(stream);
        if round % 4 == 3 {
            server.stop().await;
            server = HttpServer::start_over(store.clone()).await;
        }
    }
    let positions: Vec<Position> = told.iter().map(|(id, _)| id.parse().unwrap()).collect();
    assert_eq!(positions.len(), 240);
    assert!(positions.is_sorted_by(|a, b| a < b), "in order, none twice");
    let mut stream = Stream::resume(&wallet, &told[239].0, &server).await;
    assert!(stream.is_silent_for(MOMENT).await);
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn tells_a_long_history_whole_and_in_order() {
    let server = HttpServer::start().await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let mut chain = Chain::of(&server);
    let transactions = u32::try_from(EVENTS_PER_LOOK_MAX + 7).unwrap();
    chain.append(ways(0, transactions, ADDRESSES[0])).await;
    let mut stream = Stream::open(&wallet, "/v1/events", &server).await;
    let mut last = Position::START;
    for _ in 0..2 * transactions {
        let position: Position = stream.next().await.id.parse().unwrap();
        assert!(position > last);
        last = position;
    }
    assert!(stream.is_silent_for(MOMENT).await);
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_comes_too_late_gets_the_first_and_the_latest_steps() {
    let server = HttpServer::start().await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let mut chain = Chain::of(&server);
    for height in 101..131 {
        let (taken, back) = (
            confirmed(1, ADDRESSES[0], height),
            unconfirmed(1, ADDRESSES[0], height),
        );
        chain.append(vec![taken, back]).await;
    }
    let mut stream = Stream::open(&wallet, "/v1/events", &server).await;
    let first = stream.next().await.change.step.status;
    let block = block(101);
    assert_eq!(first, TransactionStatus::Confirmed { block });
    let mut last = first;
    for _ in 1..satpost_domain::limits::TRANSACTION_STEPS_MAX {
        last = stream.next().await.change.step.status;
    }
    let block = self::block(130);
    assert_eq!(last, TransactionStatus::Unconfirmed { block });
    assert!(stream.is_silent_for(MOMENT).await);
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn tells_nobody_of_what_others_watch() {
    let server = HttpServer::start().await;
    let alice = watching(1, ADDRESSES[0], &server).await;
    let bob = watching(2, ADDRESSES[1], &server).await;
    let mut to_alice = Stream::open(&alice, "/v1/events", &server).await;
    let mut to_bob = Stream::open(&bob, "/v1/events", &server).await;
    let mut chain = Chain::of(&server);
    chain.append(vec![seen(1, ADDRESSES[1])]).await;
    assert_eq!(to_bob.next().await.change.address, ADDRESSES[1]);
    assert!(to_alice.is_silent_for(MOMENT).await);
    // What both watch both are told.
    let watched = alice.watch(&[ADDRESSES[1]]).send(&server).await;
    assert_eq!(watched.status.as_u16(), 200);
    chain.append(vec![confirmed(1, ADDRESSES[1], 101)]).await;
    assert_eq!(to_bob.next().await.name, "confirmed");
    let told = to_alice.next().await;
    // The address was new to Alice, so she is told its way from the beginning.
    assert_eq!(told.name, "seen");
    assert_eq!(to_alice.next().await.name, "confirmed");

    let unsigned = server.http.get(format!("{}/v1/events", server.base()));
    assert_eq!(unsigned.send().await.unwrap().status().as_u16(), 401);
    let mailbox = Request::query("/v1/events", &alice.messaging);
    mailbox
        .send(&server)
        .await
        .expect_problem(Code::NotRegistered);
    drop((to_alice, to_bob));
    server.stop().await;
}

#[tokio::test]
async fn refuses_cursors_it_cannot_go_on_from() {
    let server = HttpServer::start().await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let ask = |path: &str| Request::query(path, &wallet.identity);
    let answer = ask("/v1/events?after=soon").send(&server).await;
    answer.expect_problem(Code::Malformed);
    let answer = ask("/v1/events?from=1").send(&server).await;
    answer.expect_problem(Code::Malformed);
    let ahead = ask("/v1/events").header("last-event-id", 1_000_000);
    let answer = ahead.send(&server).await;
    answer.expect_problem(Code::Behind);
    assert!(answer.header("retry-after").is_some());
    server.stop().await;
}

#[tokio::test]
async fn keeps_so_many_streams_open_and_no_more() {
    let server = HttpServer::start_with(ServerOptions {
        event_streams_max: EVENT_STREAMS_PER_CLIENT_MAX + 1,
        ..ServerOptions::default()
    })
    .await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let mut streams = Vec::new();
    for _ in 0..EVENT_STREAMS_PER_CLIENT_MAX {
        streams.push(Stream::open(&alice, "/v1/events", &server).await);
    }
    let ask = |wallet: &Wallet| Request::query("/v1/events", &wallet.identity).sign(&server);
    let refused = Request::query("/v1/events", &alice.identity);
    let refused = refused.send_signed(&server, &ask(&alice)).await;
    let problem = refused.expect_problem(Code::TooManyStreams);
    assert_eq!(
        problem.limit_name.as_deref(),
        Some("event-streams-per-client")
    );
    assert_eq!(problem.limit, Some(EVENT_STREAMS_PER_CLIENT_MAX as u64));
    assert!(refused.header("retry-after").is_some());

    let last = Stream::open(&bob, "/v1/events", &server).await;
    let carol = Wallet::registered(3, &server).await;
    let full = Request::query("/v1/events", &carol.identity);
    let full = full.send(&server).await;
    full.expect_problem(Code::Unavailable);
    assert!(full.header("retry-after").is_some());

    // A stream that ends makes room.
    drop(last);
    stream::until_open(&server, EVENT_STREAMS_PER_CLIENT_MAX).await;
    drop(Stream::open(&carol, "/v1/events", &server).await);
    drop(streams);
    stream::until_open(&server, 0).await;
    server.stop().await;
}

#[tokio::test]
async fn ends_the_stream_of_a_reader_that_does_not_read() {
    let server = HttpServer::start_with(ServerOptions {
        reader_stall_max: Duration::from_secs(1),
        ..ServerOptions::default()
    })
    .await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let stalled = stream::open_and_never_read(&wallet, &server).await;
    stream::until_open(&server, 1).await;
    let mut chain = Chain::of(&server);
    // About 10 MB: more than the buffers of both ends hold.
    for part in 0..10 {
        chain.append(ways(2_000 * part, 2_000, ADDRESSES[0])).await;
    }
    stream::until_open(&server, 0).await;
    drop(stalled);
    server.stop().await;
}

#[tokio::test]
async fn says_goodbye_when_the_server_stops() {
    let server = HttpServer::start().await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let mut stream = Stream::open(&wallet, "/v1/events", &server).await;
    Chain::of(&server).append(vec![seen(1, ADDRESSES[0])]).await;
    stream.next().await;
    let reading = tokio::spawn(async move { stream.rest().await });
    let took = server.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let rest = reading.await.unwrap();
    assert_eq!(rest, "event: bye\ndata: {\"reason\":\"stopping\"}\n\n");
}

#[tokio::test]
async fn says_goodbye_when_the_client_is_retired() {
    let server = HttpServer::start().await;
    let wallet = watching(1, ADDRESSES[0], &server).await;
    let mut stream = Stream::open(&wallet, "/v1/events", &server).await;
    let retire = Request::command(
        reqwest::Method::DELETE,
        "/v1/clients/self",
        &wallet.identity,
    );
    assert!(retire.send(&server).await.status.is_success());
    let patience = EVENT_HEARTBEAT + PATIENCE;
    let rest = tokio::time::timeout(patience, stream.rest()).await.unwrap();
    assert!(
        rest.ends_with("event: bye\ndata: {\"reason\":\"not-registered\"}\n\n"),
        "{rest}"
    );
    server.stop().await;
}
