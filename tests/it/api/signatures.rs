//! Who may speak, over the wire. The verifier's own tests try every bit; these try the way to it.

use std::collections::BTreeSet;

use reqwest::Method;
use satpost_api::routes::public_operations;
use satpost_api_types::messages::WipeQueueResponse;
use satpost_api_types::problem::ProblemCode as Code;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;

/// Paths that anybody may ask.
const OPEN: [&str; 8] = [
    "/v1/limits",
    "/v1/info",
    "/v1/price/{currency}",
    "/v1/prices",
    "/health/live",
    "/health/ready",
    "/version",
    "/openapi.json",
];
/// Operations whose senders may stay unnamed.
const UNNAMED: [&str; 2] = ["send_message", "send_messages"];

#[tokio::test]
async fn asks_for_a_signature_on_every_route_but_those_of_the_service_and_of_senders() {
    let server = HttpServer::start().await;
    let mut tried = BTreeSet::new();
    for operation in public_operations() {
        if OPEN.contains(&operation.path) || UNNAMED.contains(&operation.name) {
            continue;
        }
        let path = operation.path.replace("{txid}", &"00".repeat(32));
        let method = Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
        let request = Request {
            signers: Vec::new(),
            ..Request::command(method, &path, &Wallet::new(1).identity)
        };
        let content_type = match operation.name {
            "import_addresses" => "application/x-ndjson",
            _ => "application/json",
        };
        let answer = request
            .header("content-type", content_type)
            .send(&server)
            .await;
        answer.expect_problem(Code::SignatureMissing);
        tried.insert(operation.name);
    }
    let unsigned = OPEN.len() + UNNAMED.len();
    assert_eq!(tried.len(), public_operations().len() - unsigned);
    server.stop().await;
}

#[tokio::test]
async fn answers_a_signed_request_once() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let query = Request::query("/v1/clients/self", &wallet.identity);
    let headers = query.sign(&server);
    let first = query.send_signed(&server, &headers).await;
    assert_eq!(first.status.as_u16(), 200);
    let second = query.send_signed(&server, &headers).await;
    second.expect_problem(Code::SignatureReplayed);
    server.stop().await;
}

#[tokio::test]
async fn tells_its_time_to_a_client_whose_clock_is_wrong() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    for offset in [-61, 61] {
        let query = Request {
            created_offset_secs: offset,
            ..Request::query("/v1/clients/self", &wallet.identity)
        };
        let problem = query.send(&server).await.expect_problem(Code::ClockSkew);
        let server_time = problem.server_time.unwrap();
        assert!(server_time.abs_diff(server.now().as_millis()) < 5_000);
    }
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_signature_from_before_its_start() {
    let server = HttpServer::start().await;
    let wallet = Wallet::new(1);
    let old = Request {
        created_offset_secs: -2,
        ..wallet.register()
    };
    old.send(&server).await.expect_problem(Code::ClockSkew);
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_signature_for_another_server() {
    let server = HttpServer::start().await;
    let other = HttpServer::start().await;
    let wallet = Wallet::new(1);
    let elsewhere = Request {
        authority: Some("other.example".to_owned()),
        ..wallet.register()
    };
    elsewhere
        .send(&server)
        .await
        .expect_problem(Code::WrongAuthority);
    // A request for this server, carried to another one with the Host it expects.
    let mut carried = wallet.register().sign(&server);
    carried.retain(|(name, _)| *name != "host");
    carried.push(("host", other.authority()));
    let answer = wallet.register().send_signed(&other, &carried).await;
    assert!(matches!(answer.status.as_u16(), 401), "{}", answer.text());
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn refuses_what_the_signature_does_not_cover() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let signed = wallet.watch(&["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"]);
    let with_headers = |request: &Request<'_>| request.sign(&server);
    let mut other_body = signed.clone();
    let headers = with_headers(&signed);
    other_body.body.as_mut().unwrap().1.push(b' ');
    let answer = other_body.send_signed(&server, &headers).await;
    answer.expect_problem(Code::SignatureInvalid);
    let mut other_query = signed.clone();
    other_query.query = "x=1".to_owned();
    let answer = other_query
        .send_signed(&server, &with_headers(&signed))
        .await;
    answer.expect_problem(Code::SignatureInvalid);
    let mut other_key = with_headers(&signed);
    for (name, value) in &mut other_key {
        if *name == "idempotency-key" {
            *value = "ff".repeat(16);
        }
    }
    let answer = signed.send_signed(&server, &other_key).await;
    answer.expect_problem(Code::SignatureInvalid);
    server.stop().await;
}

#[tokio::test]
async fn refuses_headers_that_do_not_follow_the_profile() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let query = Request::query("/v1/clients/self", &wallet.identity);
    for (from, to) in [
        ("satpost/1", "satpost/9"),
        ("\"@query\"", "\"date\""),
        ("sig1", "sig9"),
    ] {
        let mut headers = query.sign(&server);
        for (name, value) in &mut headers {
            if *name == "signature-input" {
                *value = value.replace(from, to);
            }
        }
        let answer = query.send_signed(&server, &headers).await;
        answer.expect_problem(Code::SignatureMalformed);
    }
    let proof_missing = Request {
        signers: vec![&wallet.identity],
        ..wallet.register()
    };
    proof_missing
        .send(&server)
        .await
        .expect_problem(Code::SignatureMalformed);
    let doubled = query
        .clone()
        .header("satpost-min-position", "1")
        .header("satpost-min-position", "1");
    doubled.send(&server).await.expect_problem(Code::Malformed);
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_command_without_an_idempotency_key() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let nameless = Request {
        idempotency_key: None,
        ..Request::command(Method::DELETE, "/v1/queue", &wallet.messaging)
    };
    nameless
        .send(&server)
        .await
        .expect_problem(Code::IdempotencyKeyMissing);
    let odd = Request::command(Method::DELETE, "/v1/queue", &wallet.messaging).idempotency_key("1");
    odd.send(&server).await.expect_problem(Code::Malformed);
    let uuid = "0191f2a0-7c1b-7c3f-8a55-0123456789ab";
    let named =
        Request::command(Method::DELETE, "/v1/queue", &wallet.messaging).idempotency_key(uuid);
    let _: WipeQueueResponse = named.send(&server).await.expect(200);
    server.stop().await;
}
