//! What the server says about itself, and what it says where there is nothing.

use reqwest::Method;
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::service::{InfoResponse, LimitsResponse, ReadyResponse, VersionResponse};
use satpost_domain::limits;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Answer;

async fn ask(server: &HttpServer, method: Method, path: &str) -> Answer {
    let url = format!("{}{path}", server.base());
    let response = server
        .http
        .request(method.clone(), url)
        .send()
        .await
        .unwrap();
    Answer::read(&method, path, response).await
}

#[tokio::test]
async fn tells_who_it_is_and_what_it_takes() {
    let server = HttpServer::start().await;
    let info: InfoResponse = ask(&server, Method::GET, "/v1/info").await.expect(200);
    assert_eq!(info.network, "regtest");
    assert_eq!(info.authorities, [server.authority()]);
    assert_eq!(info.server_key, hex::encode(server.keys.public_key()));
    let bounds: LimitsResponse = ask(&server, Method::GET, "/v1/limits").await.expect(200);
    assert_eq!(bounds.message_bytes_max, limits::MESSAGE_BYTES_MAX as u64);
    assert_eq!(bounds.fetch_wait_max_ms, 30_000);
    let version: VersionResponse = ask(&server, Method::GET, "/version").await.expect(200);
    assert_eq!(version.version, info.version);
    let document: serde_json::Value = ask(&server, Method::GET, "/openapi.json").await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    server.stop().await;
}

#[tokio::test]
async fn says_that_it_lives_and_is_ready() {
    let server = HttpServer::start().await;
    ask(&server, Method::GET, "/health/live")
        .await
        .expect_empty(204);
    let ready: ReadyResponse = ask(&server, Method::GET, "/health/ready").await.expect(200);
    assert!(ready.ready && ready.checks.iter().all(|check| check.available));
    server.stop().await;
}

#[tokio::test]
async fn answers_unknown_paths_and_methods_with_problems() {
    let server = HttpServer::start().await;
    ask(&server, Method::GET, "/v1/nothing")
        .await
        .expect_problem(Code::NotFound);
    ask(&server, Method::GET, "/")
        .await
        .expect_problem(Code::NotFound);
    ask(&server, Method::GET, "/metrics")
        .await
        .expect_problem(Code::NotFound);
    let answer = ask(&server, Method::PATCH, "/v1/addresses").await;
    answer.expect_problem(Code::MethodNotAllowed);
    let mut allowed: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "POST"]);
    server.stop().await;
}

#[tokio::test]
async fn gives_every_answer_a_name_and_lets_nobody_cache_it() {
    let server = HttpServer::start().await;
    let answer = ask(&server, Method::GET, "/v1/limits").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
    assert!(answer.header("date").is_some());
    let named = |name: &'static str| {
        let url = format!("{}/v1/limits", server.base());
        server.http.get(url).header("x-request-id", name).send()
    };
    let own = named("wallet-7").await.unwrap();
    assert_eq!(own.headers()["x-request-id"], "wallet-7");
    let odd = named("two words").await.unwrap();
    assert_ne!(odd.headers()["x-request-id"], "two words");
    server.stop().await;
}
