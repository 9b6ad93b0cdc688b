//! Who may write to whom: policies, delivery tokens, work. What a refusal tells stands in `refusals`.

use std::time::Duration;

use reqwest::Method;
use satpost_api_types::mailboxes::{
    DeliveryTokenUse, RevokeAllTokens, RevokeDeliveryTokensRequest, RevokeSomeTokens,
    StrangerPolicy,
};
use satpost_api_types::messages::{QueueResponse, SendMessageResponse};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::service::InfoResponse;
use satpost_domain::ids::parse_hex;
use satpost_domain::limits::KNOCK_TTL;
use satpost_domain::mailbox::{WorkSubject, token_hash};
use satpost_domain::{CommandId, MessagingKey, hash};
use satpost_tests::http_server::{HttpServer, KNOCK_WORK_BITS, ServerOptions};
use satpost_tests::signed_request::Request;
use serde_json::json;

use super::wallet::Wallet;

/// A delivery token; different numbers give different ones.
pub(crate) const fn token(number: u8) -> [u8; 32] {
    [number; 32]
}

/// The same as it stands in the header.
pub(crate) fn token_text(number: u8) -> String {
    hex::encode(token(number))
}

/// Revokes tokens of `wallet`.
pub(crate) async fn revoke(wallet: &Wallet, tokens: &[[u8; 32]], server: &HttpServer) {
    let hashes = tokens.iter().map(|token| token_hash(token).to_string());
    let request = RevokeDeliveryTokensRequest::Some(RevokeSomeTokens {
        hashes: hashes.collect(),
    });
    let revoke = Request::command(Method::DELETE, "/v1/delivery-tokens", &wallet.messaging);
    revoke.json(&request).send(server).await.expect_empty(204);
}

/// What the work for a request is done for.
pub(crate) fn subject(request: &Request<'_>) -> WorkSubject {
    let recipient = request.path.split('/').nth(3).unwrap();
    let (_, body) = request.body.as_ref().unwrap();
    WorkSubject {
        recipient: MessagingKey::from_stored(parse_hex(recipient).unwrap()),
        digest: hash::sha256(body),
        command_id: CommandId::new(parse_hex(request.idempotency_key.as_ref().unwrap()).unwrap()),
    }
}

pub(crate) fn with_work_for<'k>(
    request: Request<'k>,
    subject: &WorkSubject,
    server: &HttpServer,
) -> Request<'k> {
    let proof = subject.work(server.now().as_secs(), KNOCK_WORK_BITS);
    request.header("proof-of-work", proof)
}

/// With the work that the server asks for.
pub(crate) fn with_work<'k>(request: Request<'k>, server: &HttpServer) -> Request<'k> {
    let subject = subject(&request);
    with_work_for(request, &subject, server)
}

async fn queue(wallet: &Wallet, server: &HttpServer) -> QueueResponse {
    wallet.query("/v1/queue").send(server).await.expect(200)
}

/// What a sender shows.
#[derive(Debug, Clone, Copy)]
enum Shown {
    Nothing,
    Work,
    Name,
    Lasting,
    Once,
}

#[tokio::test]
async fn every_policy_lets_in_who_it_says() {
    use Shown::{Lasting, Name, Nothing, Once, Work};
    use StrangerPolicy::{Knock, Open, Refuse};
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    // None: refused; true: a knock.
    let table = [
        (Refuse, Nothing, None),
        (Refuse, Work, None),
        (Refuse, Name, None),
        (Refuse, Lasting, Some(false)),
        (Refuse, Once, Some(true)),
        (Knock, Nothing, None),
        (Knock, Work, Some(true)),
        (Knock, Name, None),
        (Knock, Lasting, Some(false)),
        (Knock, Once, Some(true)),
        (Open, Nothing, None),
        (Open, Work, Some(false)),
        (Open, Name, Some(false)),
        (Open, Lasting, Some(false)),
        (Open, Once, Some(false)),
    ];
    for (number, (policy, shown, knock)) in (10..).zip(table) {
        let bob = Wallet::registered(number, &server).await;
        bob.set_policy(policy, &server).await;
        let tokens = [
            (token(1), DeliveryTokenUse::Lasting),
            (token(2), DeliveryTokenUse::Once),
        ];
        bob.add_tokens(&tokens, &server).await;
        let unnamed = alice.unnamed(&bob, 7);
        let message = match shown {
            Nothing => unnamed,
            Work => with_work(unnamed, &server),
            Name => alice.message(&bob, 7),
            Lasting => unnamed.header("delivery-token", token_text(1)),
            Once => unnamed.header("delivery-token", token_text(2)),
        };
        let answer = message.send(&server).await;
        let context = format!("{policy:?} {shown:?}: {}", answer.text());
        let Some(knock) = knock else {
            assert_eq!(answer.status.as_u16(), 403, "{context}");
            answer.expect_problem(Code::DeliveryRefused);
            continue;
        };
        assert_eq!(answer.status.as_u16(), 201, "{context}");
        let sent: SendMessageResponse = answer.expect(201);
        let seen = super::wallet::then(&answer, bob.query("/v1/queue"), &server).await;
        let seen: QueueResponse = seen.expect(200);
        assert_eq!(
            (seen.messages, seen.knocks),
            (1, usize::from(knock)),
            "{context}"
        );
        assert_eq!(seen.strangers, policy);
        let left = if matches!(shown, Once) { 1 } else { 2 };
        assert_eq!(seen.delivery_tokens, left, "{context}");
        let delivered = bob.fetch(&server).await.messages.remove(0);
        assert_eq!(
            (delivered.knock, &delivered.id),
            (knock, &sent.id),
            "{context}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn one_time_tokens_let_exactly_one_of_two_in() {
    let server = HttpServer::start().await;
    let (alice, bob) = (
        Wallet::registered(1, &server).await,
        Wallet::registered(2, &server).await,
    );
    bob.set_policy(StrangerPolicy::Knock, &server).await;
    for number in 1..=8 {
        bob.add_tokens(&[(token(number), DeliveryTokenUse::Once)], &server)
            .await;
        let message = || {
            alice
                .unnamed(&bob, number)
                .header("delivery-token", token_text(number))
        };
        let (one, other) = (message(), message());
        let answers = tokio::join!(one.send(&server), other.send(&server));
        let mut codes = [answers.0.status.as_u16(), answers.1.status.as_u16()];
        let winner = if codes[0] == 201 { one } else { other };
        codes.sort_unstable();
        assert_eq!(codes, [201, 403]);
        // Who was let in is let in again, with the first answer.
        let again = winner.send(&server).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let seen = queue(&bob, &server).await;
    assert_eq!(
        (seen.messages, seen.knocks, seen.delivery_tokens),
        (8, 8, 0)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_contact_is_a_stranger_from_then_on() {
    let server = HttpServer::start().await;
    let (alice, bob) = (
        Wallet::registered(1, &server).await,
        Wallet::registered(2, &server).await,
    );
    let tokens: Vec<_> = (1..=3)
        .map(|number| (token(number), DeliveryTokenUse::Lasting))
        .collect();
    bob.add_tokens(&tokens, &server).await;
    let send = async |number: u8| {
        let message = alice
            .unnamed(&bob, 7)
            .header("delivery-token", token_text(number));
        message.send(&server).await.status.as_u16()
    };
    for number in 1..=3 {
        assert_eq!(send(number).await, 201);
    }
    revoke(&bob, &[token(1)], &server).await;
    assert_eq!(
        (send(1).await, send(2).await, send(3).await),
        (403, 201, 201)
    );
    let all = RevokeDeliveryTokensRequest::All(RevokeAllTokens { all: true });
    let all = Request::command(Method::DELETE, "/v1/delivery-tokens", &bob.messaging).json(&all);
    all.send(&server).await.expect_empty(204);
    assert_eq!((send(2).await, send(3).await), (403, 403));
    // What came is not taken back.
    let seen = queue(&bob, &server).await;
    assert_eq!((seen.messages, seen.delivery_tokens), (5, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_knock_waits_its_own_time_whatever_its_sender_says() {
    let server = HttpServer::start().await;
    let bob = Wallet::registered(2, &server).await;
    bob.set_policy(StrangerPolicy::Knock, &server).await;
    let sender = Wallet::new(1);
    let knock = with_work(sender.unnamed(&bob, 7).header("ttl", 60), &server);
    let sent: SendMessageResponse = knock.send(&server).await.expect(201);
    let waits = Duration::from_millis(sent.expires_at - sent.accepted_at);
    assert_eq!(waits, KNOCK_TTL);
    server.stop().await;
}

#[tokio::test]
async fn work_is_good_for_one_message() {
    let server = HttpServer::start().await;
    let bob = Wallet::registered(2, &server).await;
    bob.set_policy(StrangerPolicy::Knock, &server).await;
    let stranger = Wallet::new(1);
    let knock = with_work(stranger.unnamed(&bob, 7), &server);
    let first: SendMessageResponse = knock.send(&server).await.expect(201);
    let again = knock.send(&server).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect::<SendMessageResponse>(201).id, first.id);
    let proof = knock.headers[0].1.clone();
    let other = stranger.unnamed(&bob, 7).header("proof-of-work", proof);
    let refused = other.send(&server).await;
    refused.expect_problem(Code::DeliveryRefused);
    assert_eq!(queue(&bob, &server).await.messages, 1);
    server.stop().await;
}

#[tokio::test]
async fn keys_of_named_and_unnamed_senders_do_not_collide() {
    let server = HttpServer::start().await;
    let (alice, bob) = (
        Wallet::registered(1, &server).await,
        Wallet::registered(2, &server).await,
    );
    bob.set_policy(StrangerPolicy::Open, &server).await;
    bob.add_tokens(&[(token(1), DeliveryTokenUse::Lasting)], &server)
        .await;
    let key = "ab".repeat(16);
    let signed = alice.message(&bob, 1).idempotency_key(&key);
    let with_token = alice.unnamed(&bob, 2).idempotency_key(&key);
    let with_token = with_token.header("delivery-token", token_text(1));
    let worked = with_work(alice.unnamed(&bob, 3).idempotency_key(&key), &server);
    for message in [signed, with_token, worked] {
        let sent = message.send(&server).await;
        assert_eq!(sent.header("idempotent-replayed"), None);
        sent.expect::<SendMessageResponse>(201);
    }
    let mismatch = alice.unnamed(&bob, 4).idempotency_key(&key);
    let mismatch = mismatch.header("delivery-token", token_text(1));
    let mismatch = mismatch.send(&server).await;
    mismatch.expect_problem(Code::IdempotencyMismatch);
    server.stop().await;
}

#[tokio::test]
async fn an_unsigned_send_is_checked_like_a_signed_one() {
    let server = HttpServer::start().await;
    let bob = Wallet::registered(2, &server).await;
    let sender = Wallet::new(1);
    let unnamed = |header, value: &str| sender.unnamed(&bob, 7).header(header, value);
    for (header, value) in [
        ("content-digest", "sha-256=:AAAA:"),
        ("delivery-token", "ab"),
        ("delivery-token", &"AB".repeat(32)),
        ("proof-of-work", "now"),
        ("ttl", "soon"),
        ("idempotency-key", "1"),
    ] {
        let answer = unnamed(header, value).send(&server).await;
        answer.expect_problem(Code::Malformed);
    }
    // A header without a value is not sent.
    let nameless = unnamed("idempotency-key", "").send(&server).await;
    nameless.expect_problem(Code::IdempotencyKeyMissing);
    let half = unnamed("signature", "sig1=:AAAA:").send(&server).await;
    half.expect_problem(Code::SignatureMissing);
    let json = sender.unnamed(&bob, 7).json(&json!({}));
    let json = json.send(&server).await;
    json.expect_problem(Code::UnsupportedMediaType);
    let unpadded = sender.message_of(&bob, vec![7; 500]).unsigned();
    let unpadded = unpadded.send(&server).await;
    unpadded.expect_problem(Code::NotPadded);
    // Who signs without being registered is told so; who does not sign is not asked.
    let unregistered = sender.message(&bob, 7).send(&server).await;
    unregistered.expect_problem(Code::NotRegistered);
    server.stop().await;
}

#[tokio::test]
async fn only_the_owner_says_who_may_write() {
    let server = HttpServer::start().await;
    let bob = Wallet::registered(2, &server).await;
    let put = |body: &serde_json::Value| {
        Request::command(Method::PUT, "/v1/policy", &bob.messaging).json(body)
    };
    let unknown = put(&json!({"strangers": "maybe"})).send(&server).await;
    unknown.expect_problem(Code::Malformed);
    let unsigned = put(&json!({"strangers": "open"})).unsigned();
    let unsigned = unsigned.send(&server).await;
    unsigned.expect_problem(Code::SignatureMissing);
    let by_identity = Request::command(Method::PUT, "/v1/policy", &bob.identity);
    let by_identity = by_identity.json(&json!({"strangers": "open"}));
    by_identity
        .send(&server)
        .await
        .expect_problem(Code::NotRegistered);

    let tokens = |method: Method, body: &serde_json::Value| {
        Request::command(method, "/v1/delivery-tokens", &bob.messaging).json(body)
    };
    let hash = "ab".repeat(32);
    let many = |count: usize| {
        let token = json!({"hash": hash, "uses": "once"});
        json!({"tokens": vec![token; count]})
    };
    for count in [0, 257] {
        let answer = tokens(Method::POST, &many(count)).send(&server).await;
        assert_eq!(answer.expect_problem(Code::LimitExceeded).limit, Some(256));
    }
    for body in [
        json!({"tokens": [{"hash": "ab", "uses": "once"}]}),
        json!({"tokens": [{"hash": hash, "uses": "twice"}]}),
    ] {
        let answer = tokens(Method::POST, &body).send(&server).await;
        answer.expect_problem(Code::Malformed);
    }
    for body in [
        json!({"all": false}),
        json!({"all": true, "hashes": [hash]}),
        json!({"hashes": ["zz"]}),
        json!({}),
    ] {
        let answer = tokens(Method::DELETE, &body).send(&server).await;
        answer.expect_problem(Code::Malformed);
    }
    let none = tokens(Method::DELETE, &json!({"hashes": []}));
    let none = none.send(&server).await;
    none.expect_problem(Code::LimitExceeded);
    server.stop().await;
}

#[tokio::test]
async fn the_server_says_how_much_work_it_wants() {
    let options = ServerOptions {
        knock_work_bits: 3,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let info = server.http.get(format!("{}/v1/info", server.base()));
    let info: InfoResponse = {
        let body = info.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    assert_eq!(info.knock_work_bits, 3);
    let bob = Wallet::registered(2, &server).await;
    bob.set_policy(StrangerPolicy::Knock, &server).await;
    let knock = Wallet::new(1);
    let knock = knock.unnamed(&bob, 7);
    let proof = subject(&knock).work(server.now().as_secs(), 3);
    let knock = knock.header("proof-of-work", proof);
    knock.send(&server).await.expect::<SendMessageResponse>(201);
    server.stop().await;
}

#[tokio::test]
async fn counts_how_messages_came_in() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let tokens = [
        (token(1), DeliveryTokenUse::Lasting),
        (token(2), DeliveryTokenUse::Once),
    ];
    bob.add_tokens(&tokens, &server).await;
    bob.set_policy(StrangerPolicy::Knock, &server).await;
    let contact = alice
        .unnamed(&bob, 1)
        .header("delivery-token", token_text(1));
    contact.send(&server).await;
    contact.send(&server).await;
    let once = alice
        .unnamed(&bob, 2)
        .header("delivery-token", token_text(2));
    once.send(&server).await;
    once.send(&server).await;
    with_work(alice.unnamed(&bob, 3), &server)
        .send(&server)
        .await;
    alice.unnamed(&bob, 4).send(&server).await;
    bob.set_policy(StrangerPolicy::Open, &server).await;
    alice.message(&bob, 5).send(&server).await;
    let metrics = server
        .http
        .get(format!("{}/metrics", server.operator_base()));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for kind in ["contact", "once", "knock", "open", "refused"] {
        let line = format!("satpost_message_admissions_total{{kind=\"{kind}\"}} 1\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    server.stop().await;
}
