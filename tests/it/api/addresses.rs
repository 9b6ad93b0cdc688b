//! The watch list and its transactions.

use reqwest::Method;
use satpost_api_types::addresses::{
    Birthday, DetailedEntry, ImportAddressesResponse, ListAddressesResponse,
    UnwatchAddressesRequest, WatchAddressesRequest, WatchAddressesResponse, WatchEntry,
    WatchedAddress,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::transactions::ListTransactionsResponse;
use satpost_domain::limits::{ADDRESSES_PER_REQUEST_MAX, IMPORT_BYTES_MAX};
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
    let addresses = addresses.iter().map(|&address| address.to_owned().into());
    Request::command(Method::DELETE, "/v1/addresses", &wallet.identity).json(
        &UnwatchAddressesRequest {
            addresses: addresses.collect(),
        },
    )
}

fn watch_entries(wallet: &Wallet, addresses: Vec<WatchEntry>) -> Request<'_> {
    Request::command(Method::POST, "/v1/addresses", &wallet.identity).json(&WatchAddressesRequest {
        addresses,
        ..WatchAddressesRequest::default()
    })
}

fn import<'k>(wallet: &'k Wallet, lines: &str) -> Request<'k> {
    Request::command(Method::POST, "/v1/addresses:import", &wallet.identity)
        .body("application/x-ndjson", lines.as_bytes().to_vec())
}

/// `count` lines with scripts of their own.
fn many_lines(count: u32) -> String {
    (0..count)
        .map(|number| format!("{{\"script\":\"0014{number:040x}\"}}\n"))
        .collect()
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
        found.extend(page.addresses.iter().map(|entry| entry.name().to_owned()));
        if !page.more {
            break;
        }
        path = format!("/v1/addresses?limit=2&after={}", page.cursor.unwrap());
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
    list.expect_problem(Code::Malformed);
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
    let request = UnwatchAddressesRequest {
        addresses: vec![ADDRESSES[0].to_owned().into()],
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

#[tokio::test]
async fn keeps_depths_and_birthday_of_each_entry() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let script = "5120".to_owned() + &"ab".repeat(32);
    let hash = "cd".repeat(32);
    let entries = vec![
        ADDRESSES[0].to_owned().into(),
        WatchEntry::Detailed(DetailedEntry {
            script: Some(script.clone()),
            depths: Some(vec![6, 2]),
            ..DetailedEntry::default()
        }),
        WatchEntry::Detailed(DetailedEntry {
            script_hash: Some(hash.clone()),
            birthday: Some(Birthday::Height(7)),
            ..DetailedEntry::default()
        }),
    ];
    let request = WatchAddressesRequest {
        addresses: entries,
        depths: Some(vec![144]),
        birthday: Some(Birthday::Time(1_600_000_000_000)),
    };
    let command = Request::command(Method::POST, "/v1/addresses", &wallet.identity);
    let answer: WatchAddressesResponse = command.json(&request).send(&server).await.expect(200);
    assert_eq!((answer.added, answer.changed), (3, 0));

    let list = async || {
        let list = Request::query("/v1/addresses", &wallet.identity);
        let list: ListAddressesResponse = list.send(&server).await.expect(200);
        list.addresses
    };
    let find = |list: &[WatchedAddress], name: &str| {
        let mut entries = list.iter();
        entries
            .find(|entry| entry.name() == name || entry.script.as_deref() == Some(name))
            .cloned()
            .unwrap()
    };
    let before = list().await;
    assert_eq!(before.len(), 3);
    let address = find(&before, ADDRESSES[0]);
    assert_eq!(address.depths, [144]);
    assert_eq!(address.birthday, Some(Birthday::Time(1_600_000_000_000)));
    assert_eq!(find(&before, &script).depths, [2, 6]);
    let by_hash = find(&before, &hash);
    assert_eq!((by_hash.address, by_hash.script), (None, None));
    assert_eq!(by_hash.birthday, Some(Birthday::Height(7)));

    // What is not said stays as it is.
    let changed = WatchEntry::Detailed(DetailedEntry {
        address: Some(ADDRESSES[0].to_owned()),
        depths: Some(Vec::new()),
        ..DetailedEntry::default()
    });
    let answer = watch_entries(&wallet, vec![changed]).send(&server).await;
    let answer: WatchAddressesResponse = answer.expect(200);
    assert_eq!((answer.added, answer.changed), (0, 1));
    let after = find(&list().await, ADDRESSES[0]);
    assert!(after.depths.is_empty());
    assert_eq!(after.birthday, address.birthday);

    let by_hash = WatchEntry::Detailed(DetailedEntry {
        script_hash: Some(hash),
        ..DetailedEntry::default()
    });
    let request = UnwatchAddressesRequest {
        addresses: vec![by_hash],
    };
    let command = Request::command(Method::DELETE, "/v1/addresses", &wallet.identity);
    command.json(&request).send(&server).await.expect_empty(204);
    assert_eq!(list().await.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn refuses_what_nobody_can_mean_and_then_watches_nothing() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let good: WatchEntry = ADDRESSES[0].to_owned().into();
    let bad = |change: fn(&mut DetailedEntry)| {
        let mut entry = DetailedEntry {
            address: Some(ADDRESSES[1].to_owned()),
            ..DetailedEntry::default()
        };
        change(&mut entry);
        WatchEntry::Detailed(entry)
    };
    let cases = [
        (
            bad(|entry| entry.depths = Some(vec![1])),
            Code::InvalidDepths,
        ),
        (
            bad(|entry| entry.depths = Some(vec![145])),
            Code::InvalidDepths,
        ),
        (
            bad(|entry| entry.depths = Some((2..11).collect())),
            Code::InvalidDepths,
        ),
        (
            bad(|entry| entry.birthday = Some(Birthday::Time(1))),
            Code::InvalidBirthday,
        ),
        (
            bad(|entry| entry.birthday = Some(Birthday::Time(u64::MAX))),
            Code::InvalidBirthday,
        ),
        (
            bad(|entry| entry.script_hash = Some("00".repeat(32))),
            Code::InvalidAddress,
        ),
        (bad(|entry| entry.address = None), Code::InvalidAddress),
    ];
    for (entry, code) in cases {
        let request = watch_entries(&wallet, vec![good.clone(), entry]);
        request.send(&server).await.expect_problem(code);
    }
    let list = Request::query("/v1/addresses", &wallet.identity);
    let list: ListAddressesResponse = list.send(&server).await.expect(200);
    assert!(list.addresses.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn imports_good_lines_and_counts_every_line_once() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    wallet
        .watch(&ADDRESSES[..1])
        .send(&server)
        .await
        .expect::<WatchAddressesResponse>(200);
    let lines = format!(
        "\"{}\"\n{{\"address\":\"{}\",\"depths\":[2]}}\nnonsense\n\n\"{MAINNET_ADDRESS}\"\n\"{}\"\n\"{}\"",
        ADDRESSES[1], ADDRESSES[0], ADDRESSES[2], ADDRESSES[2],
    );
    let request = import(&wallet, &lines);
    let answer = request.clone().send(&server).await;
    let answer: ImportAddressesResponse = answer.expect(200);
    assert_eq!((answer.lines, answer.refused), (6, 2));
    assert_eq!((answer.added, answer.changed, answer.unchanged), (2, 1, 1));
    let errors: Vec<_> = answer
        .errors
        .iter()
        .map(|error| (error.line, error.code.as_str()))
        .collect();
    assert_eq!(errors, [(3, "malformed"), (5, "invalid-address")]);
    assert!(answer.errors[1].detail.contains("mainnet"));
    // The same command again gives the same answer.
    let again: ImportAddressesResponse = request.send(&server).await.expect(200);
    assert_eq!(again, answer);
    server.stop().await;
}

#[tokio::test]
async fn refuses_imports_of_a_wrong_shape() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    import(&wallet, "\n\n")
        .send(&server)
        .await
        .expect_problem(Code::LimitExceeded);
    let json = import(&wallet, "").body("application/json", b"1".to_vec());
    json.send(&server)
        .await
        .expect_problem(Code::UnsupportedMediaType);
    let large = " ".repeat(IMPORT_BYTES_MAX + 1);
    let answer = import(&wallet, &large).send(&server).await;
    assert_eq!(
        answer.expect_problem(Code::TooLarge).limit,
        Some(IMPORT_BYTES_MAX as u64)
    );
    let stranger = Wallet::new(2);
    import(&stranger, "1")
        .send(&server)
        .await
        .expect_problem(Code::NotRegistered);
    server.stop().await;
}

#[tokio::test]
async fn ends_an_import_where_the_list_is_full_and_says_so() {
    let options = ServerOptions {
        watched_addresses_max: 1_500,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let wallet = Wallet::registered(1, &server).await;
    let answer = import(&wallet, &many_lines(2_000)).send(&server).await;
    let answer: ImportAddressesResponse = answer.expect(200);
    assert_eq!(
        (answer.lines, answer.added, answer.refused),
        (2_000, 1_024, 976)
    );
    assert_eq!(answer.errors.len(), 1);
    assert_eq!(
        (answer.errors[0].line, answer.errors[0].code.as_str()),
        (1_025, "limit-exceeded")
    );
    let one = import(&wallet, "{\"script\":\"51\"}").send(&server).await;
    assert_eq!(one.expect::<ImportAddressesResponse>(200).added, 1);
    server.stop().await;
}

#[tokio::test]
async fn imports_a_hundred_thousand_lines_in_one_request() {
    const MANY: usize = 100_000;
    let options = ServerOptions {
        watched_addresses_max: MANY,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let wallet = Wallet::registered(1, &server).await;
    let lines = many_lines(100_000);
    let answer = import(&wallet, &lines).send(&server).await;
    let answer: ImportAddressesResponse = answer.expect(200);
    assert_eq!(
        (answer.lines, answer.added, answer.refused),
        (MANY, MANY, 0)
    );
    let page = Request::query("/v1/addresses?limit=1000", &wallet.identity);
    let page: ListAddressesResponse = page.send(&server).await.expect(200);
    assert_eq!(page.addresses.len(), 1_000);
    assert!(page.more);
    let path = format!("/v1/addresses?limit=1&after={}", page.cursor.unwrap());
    let next = Request::query(&path, &wallet.identity).send(&server).await;
    let next: ListAddressesResponse = next.expect(200);
    let expected = format!("0014{:040x}", 1_000);
    assert_eq!(next.addresses[0].script.as_ref(), Some(&expected));
    server.stop().await;
}
