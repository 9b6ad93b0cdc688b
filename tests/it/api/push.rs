//! Where a phone is woken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use satpost_api_types::clients::ClientResponse;
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::push::{
    ApnsEnvironment, PushStatus, SetPushTargetRequest, SetPushTargetResponse,
    VerifyPushTargetRequest,
};
use satpost_domain::ClientId;
use satpost_domain::limits::PUSH_FETCH_GRACE;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;

use super::wallet::{Wallet, then};

fn target(endpoint: &str) -> SetPushTargetRequest {
    let mut p256dh = [3; 65];
    p256dh[0] = 4;
    SetPushTargetRequest::WebPush {
        endpoint: endpoint.to_owned(),
        p256dh: URL_SAFE_NO_PAD.encode(p256dh),
        auth: URL_SAFE_NO_PAD.encode([9; 16]),
    }
}

fn set<'k>(wallet: &'k Wallet, target: &SetPushTargetRequest) -> Request<'k> {
    Request::command(Method::PUT, "/v1/push", &wallet.identity).json(target)
}

fn verify<'k>(wallet: &'k Wallet, code: &str) -> Request<'k> {
    let code = code.to_owned();
    Request::command(Method::POST, "/v1/push/verify", &wallet.identity)
        .json(&VerifyPushTargetRequest { code })
}

async fn status(server: &HttpServer, wallet: &Wallet) -> ClientResponse {
    Request::query("/v1/clients/self", &wallet.identity)
        .send(server)
        .await
        .expect(200)
}

/// The code as the outbox would send it.
fn code_on_its_way(server: &HttpServer) -> String {
    let outbox = server.read_model.push_outbox();
    let due = outbox.due(None, 1);
    hex::encode(due[0].registration.code.as_bytes())
}

/// Lets `wallet` be woken.
pub(super) async fn use_push_target(server: &HttpServer, wallet: &Wallet) {
    let pending = set(wallet, &target("https://push.example/abc"));
    let pending = pending.send(server).await;
    let known = Request::query("/v1/clients/self", &wallet.identity);
    then(&pending, known, server).await;
    let verified = verify(wallet, &code_on_its_way(server)).send(server).await;
    verified.expect_empty(204);
}

#[tokio::test]
async fn uses_a_push_target_once_its_code_came_back() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let pending = set(&wallet, &target("https://push.example/abc"))
        .send(&server)
        .await;
    let answer: SetPushTargetResponse = pending.expect(202);
    assert!(answer.code_expires_at > server.now().as_millis());
    let known = Request::query("/v1/clients/self", &wallet.identity);
    let known: ClientResponse = then(&pending, known, &server).await.expect(200);
    assert_eq!(known.push, PushStatus::Pending);

    let wrong = verify(&wallet, &"00".repeat(16)).send(&server).await;
    wrong.expect_problem(Code::WrongPushCode);
    let verified = verify(&wallet, &code_on_its_way(&server))
        .send(&server)
        .await;
    verified.expect_empty(204);
    let known = Request::query("/v1/clients/self", &wallet.identity);
    let known: ClientResponse = then(&verified, known, &server).await.expect(200);
    assert_eq!(known.push, PushStatus::Active);

    let removed = Request::command(Method::DELETE, "/v1/push", &wallet.identity);
    removed.send(&server).await.expect_empty(204);
    verify(&wallet, &"00".repeat(16))
        .send(&server)
        .await
        .expect_problem(Code::NothingPending);
    server.stop().await;
}

#[tokio::test]
async fn refuses_push_targets_that_cannot_be_used() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let no_key = |p256dh: &str, auth: &str| SetPushTargetRequest::WebPush {
        endpoint: "https://push.example/".to_owned(),
        p256dh: p256dh.to_owned(),
        auth: auth.to_owned(),
    };
    let compressed = URL_SAFE_NO_PAD.encode([2; 65]);
    let auth = URL_SAFE_NO_PAD.encode([9; 16]);
    let bad = [
        target("no url"),
        target("mailto:somebody"),
        target(&format!("https://push.example/{}", "x".repeat(2_048))),
        no_key("short", &auth),
        no_key(&compressed, &auth),
        no_key(&compressed, "short"),
    ];
    for target in &bad {
        set(&wallet, target)
            .send(&server)
            .await
            .expect_problem(Code::InvalidPushTarget);
    }
    assert_eq!(status(&server, &wallet).await.push, PushStatus::None);
    verify(&wallet, "abcd")
        .send(&server)
        .await
        .expect_problem(Code::Malformed);
    server.stop().await;
}

fn apns(token: &str, topic: &str) -> SetPushTargetRequest {
    SetPushTargetRequest::Apns {
        token: token.to_owned(),
        topic: topic.to_owned(),
        environment: ApnsEnvironment::Production,
    }
}

fn fcm(token: &str) -> SetPushTargetRequest {
    SetPushTargetRequest::Fcm {
        token: token.to_owned(),
    }
}

#[tokio::test]
async fn refuses_targets_that_are_no_tokens_before_it_looks_for_credentials() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let topic = "com.example.wallet";
    let bad = [
        apns("no hex", topic),
        apns("", topic),
        apns(&"00".repeat(129), topic),
        apns("00", ""),
        apns("00", "com.example\r\nx: y"),
        apns("00", &"a".repeat(156)),
        fcm(""),
        fcm("a\"b"),
        fcm(&"a".repeat(1_025)),
    ];
    for target in &bad {
        set(&wallet, target)
            .send(&server)
            .await
            .expect_problem(Code::InvalidPushTarget);
    }
    for target in [apns(&"5a".repeat(32), topic), fcm("cX9_-k:APA91bH")] {
        set(&wallet, &target)
            .send(&server)
            .await
            .expect_problem(Code::PushKindUnavailable);
    }
    assert_eq!(status(&server, &wallet).await.push, PushStatus::None);
    server.stop().await;
}

#[tokio::test]
async fn a_fetch_ends_the_time_in_which_a_phone_counts_as_woken() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let stranger = Wallet::registered(2, &server).await;
    let client = ClientId::from_stored(wallet.identity.bytes());
    let wakes = server.read_model.wakes();
    let messages = wallet.query("/v1/messages");
    let transactions = Request::query("/v1/transactions", &wallet.identity);
    for fetch in [messages, transactions] {
        wakes.wake(client, server.now());
        let seen = stranger.query("/v1/messages").send(&server).await;
        assert_eq!(seen.status.as_u16(), 200);
        let later = server.now().plus(PUSH_FETCH_GRACE * 2);
        assert!(
            !wakes.may_wake(&client, later),
            "nobody fetches for another"
        );
        assert_eq!(fetch.send(&server).await.status.as_u16(), 200);
        let later = server.now().plus(PUSH_FETCH_GRACE * 2);
        assert!(wakes.may_wake(&client, later));
    }
    server.stop().await;
}

#[tokio::test]
async fn wakes_registered_clients_only() {
    let server = HttpServer::start().await;
    let stranger = Wallet::new(1);
    let refused = set(&stranger, &target("https://push.example/"))
        .send(&server)
        .await;
    refused.expect_problem(Code::NotRegistered);
    server.stop().await;
}
