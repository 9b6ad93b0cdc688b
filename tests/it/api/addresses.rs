//! The watch list and its transactions.

use reqwest::Method;
use satpost_api_types::addresses::{
    AddressesRequest, ListAddressesResponse, WatchAddressesResponse,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::transactions::ListTransactionsResponse;
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::Request;

use super::wallet::{Wallet, then};

/// Addresses of the BIPs, for the test networks.
const ADDRESSES: [&str; 3] = [
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
    "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc",
];
const MAINNET_ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

fn unwatch<'k>(wallet: &'k Wallet, addresses: &[&str]) -> Request<'k> {
    Request {
        method: Method::DELETE,
        ..wallet.watch(addresses)
    }
}

#[tokio::test]
async fn watches_lists_and_forgets_addresses() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let watched: WatchAddressesResponse = wallet.watch(&ADDRESSES).send(&server).await.expect(200);
    assert_eq!(watched.added, 3);
    let again: WatchAddressesResponse = wallet.watch(&ADDRESSES).send(&server).await.expect(200);
    assert_eq!(again.added, 0);

    let mut found = Vec::new();
    let mut path = "/v1/addresses?limit=2".to_owned();
    loop {
        let page = Request::query(&path, &wallet.identity).send(&server).await;
        let page: ListAddressesResponse = page.expect(200);
        found.extend(page.addresses.into_iter().map(|entry| entry.address));
        if !page.more {
            break;
        }
        path = format!("/v1/addresses?limit=2&after={}", found.last().unwrap());
    }
    found.sort_unstable();
    let mut expected = ADDRESSES.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(found, expected);

    let forgotten = unwatch(&wallet, &ADDRESSES[..2]).send(&server).await;
    forgotten.expect_empty(204);
    let list = Request::query("/v1/addresses", &wallet.identity);
    let list: ListAddressesResponse = then(&forgotten, list, &server).await.expect(200);
    assert_eq!(list.addresses.len(), 1);
    let absent = unwatch(&wallet, &ADDRESSES[..1]).send(&server).await;
    absent.expect_problem(Code::NotWatched);
    server.stop().await;
}

#[tokio::test]
async fn refuses_addresses_of_another_network_and_names_both() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let answer = wallet
        .watch(&[ADDRESSES[0], MAINNET_ADDRESS])
        .send(&server)
        .await;
    let detail = answer.expect_problem(Code::InvalidAddress).detail.unwrap();
    assert!(detail.contains("address 2"), "{detail}");
    assert!(
        detail.contains("mainnet") && detail.contains("regtest"),
        "{detail}"
    );
    let path = format!("/v1/addresses?after={MAINNET_ADDRESS}");
    let list = Request::query(&path, &wallet.identity).send(&server).await;
    list.expect_problem(Code::InvalidAddress);
    server.stop().await;
}

#[tokio::test]
async fn bounds_how_many_addresses_a_request_names() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let max = ADDRESSES_PER_REQUEST_MAX as u64;
    for addresses in [vec![], vec![ADDRESSES[0]; ADDRESSES_PER_REQUEST_MAX + 1]] {
        let answer = wallet.watch(&addresses).send(&server).await;
        assert_eq!(answer.expect_problem(Code::LimitExceeded).limit, Some(max));
    }
    server.stop().await;
}

#[tokio::test]
async fn takes_no_address_while_there_is_no_node() {
    let options = ServerOptions {
        watching: false,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let wallet = Wallet::registered(1, &server).await;
    let answer = wallet.watch(&ADDRESSES).send(&server).await;
    answer.expect_problem(Code::NodeUnavailable);
    assert!(answer.header("retry-after").is_some());
    server.stop().await;
}

#[tokio::test]
async fn tells_of_no_transactions_before_there_are_any() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let page = Request::query("/v1/transactions?after=3", &wallet.identity)
        .send(&server)
        .await;
    let page: ListTransactionsResponse = page.expect(200);
    assert!(page.transactions.is_empty() && !page.more);
    assert_eq!(page.cursor, "3");
    assert_eq!(page.tip, None);
    let bad = Request::query("/v1/transactions?after=x", &wallet.identity)
        .send(&server)
        .await;
    bad.expect_problem(Code::Malformed);
    server.stop().await;
}

#[tokio::test]
async fn takes_only_what_the_shape_has() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let watch = wallet.watch(&ADDRESSES);
    let bodies: [&[u8]; 4] = [
        b"",
        b"{",
        b"{\"addresses\":[],\"more\":1}",
        b"{\"addresses\":1}",
    ];
    for body in bodies {
        let mut request = watch.clone().body("application/json", body.to_vec());
        if body.is_empty() {
            // No body, no digest; the route then misses its JSON.
            request.body = None;
            request = request.header("content-type", "application/json");
        }
        request.send(&server).await.expect_problem(Code::Malformed);
    }
    let text = watch
        .clone()
        .body("text/plain", b"{}".to_vec())
        .send(&server)
        .await;
    text.expect_problem(Code::UnsupportedMediaType);
    let encoded = watch.header("content-encoding", "gzip").send(&server).await;
    encoded.expect_problem(Code::UnsupportedMediaType);
    let unknown = Request::query("/v1/addresses?colour=red", &wallet.identity)
        .send(&server)
        .await;
    unknown.expect_problem(Code::Malformed);
    server.stop().await;
}

#[tokio::test]
async fn serves_registered_clients_only() {
    let server = HttpServer::start().await;
    let stranger = Wallet::new(1);
    let request = AddressesRequest {
        addresses: vec![ADDRESSES[0].to_owned()],
    };
    for method in [Method::POST, Method::DELETE] {
        let command = Request::command(method, "/v1/addresses", &stranger.identity).json(&request);
        command
            .send(&server)
            .await
            .expect_problem(Code::NotRegistered);
    }
    for path in ["/v1/addresses", "/v1/transactions", "/v1/clients/self"] {
        let query = Request::query(path, &stranger.identity).send(&server).await;
        query.expect_problem(Code::NotRegistered);
    }
    server.stop().await;
}
