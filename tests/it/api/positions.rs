//! Reading one's own write.

use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::Position;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;

#[tokio::test]
async fn answers_every_command_with_a_position() {
    let server = HttpServer::start().await;
    let wallet = Wallet::new(1);
    let answer = wallet.register().send(&server).await;
    let position: Position = answer.header("satpost-position").unwrap().parse().unwrap();
    assert!(
        server.read_model.position() >= position,
        "visible before it is answered"
    );
    server.stop().await;
}

#[tokio::test]
async fn says_when_it_has_not_caught_up() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let query = Request::query("/v1/clients/self", &wallet.identity);
    let behind = query
        .clone()
        .header("satpost-min-position", 1_000_000)
        .send(&server)
        .await;
    behind.expect_problem(Code::Behind);
    assert!(behind.header("retry-after").is_some());
    let odd = query
        .header("satpost-min-position", "soon")
        .send(&server)
        .await;
    odd.expect_problem(Code::Malformed);
    server.stop().await;
}

#[tokio::test]
async fn does_not_call_a_client_registered_before_queries_see_it() {
    let options = ServerOptions {
        follow: false,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let answer = Wallet::new(1).register().send(&server).await;
    answer.expect_problem(Code::Behind);
    let ready = server
        .http
        .get(format!("{}/health/ready", server.base()))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    server.stop().await;
}
