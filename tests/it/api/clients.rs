//! Registration, key rotation, retirement.

use reqwest::Method;
use satpost_api_types::clients::{
    ClientResponse, RegisterClientRequest, RegisterClientResponse, RotateMessagingKeyRequest,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::push::PushStatus;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::{Request, RequestKey};

use super::wallet::{Wallet, then};

#[tokio::test]
async fn registers_a_client_and_tells_it_what_it_knows() {
    let server = HttpServer::start().await;
    let wallet = Wallet::new(1);
    let answer = wallet.register().send(&server).await;
    let registered: RegisterClientResponse = answer.expect(201);
    assert_eq!(registered.client_id, wallet.identity.hex());
    assert_eq!(registered.messaging_key, wallet.messaging.hex());

    let known = Request::query("/v1/clients/self", &wallet.identity)
        .send(&server)
        .await;
    let known: ClientResponse = known.expect(200);
    assert_eq!(known.registered_at, registered.registered_at);
    assert_eq!(known.push, PushStatus::None);
    server.stop().await;
}

#[tokio::test]
async fn answers_a_second_registration_like_the_first() {
    let server = HttpServer::start().await;
    let wallet = Wallet::new(1);
    let first: RegisterClientResponse = wallet.register().send(&server).await.expect(201);
    server.clock.set_offset_ms(5_000);
    let second: RegisterClientResponse = wallet.register().send(&server).await.expect(201);
    assert_eq!(second, first);
    server.stop().await;
}

#[tokio::test]
async fn refuses_another_messaging_key_for_a_registered_client() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let other = Wallet {
        identity: RequestKey::new(2),
        messaging: RequestKey::new(99),
    };
    assert_eq!(other.identity.hex(), wallet.identity.hex());
    other
        .register()
        .send(&server)
        .await
        .expect_problem(Code::AlreadyRegistered);
    server.stop().await;
}

#[tokio::test]
async fn refuses_a_messaging_key_that_is_in_use() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let thief = Wallet {
        identity: RequestKey::new(99),
        messaging: RequestKey::new(3),
    };
    assert_eq!(thief.messaging.hex(), wallet.messaging.hex());
    thief
        .register()
        .send(&server)
        .await
        .expect_problem(Code::KeyInUse);
    let same = Wallet {
        identity: RequestKey::new(98),
        messaging: RequestKey::new(98),
    };
    same.register()
        .send(&server)
        .await
        .expect_problem(Code::KeyInUse);
    server.stop().await;
}

#[tokio::test]
async fn takes_no_proof_of_possession_made_for_another_client() {
    let server = HttpServer::start().await;
    let (victim, attacker) = (Wallet::new(1), Wallet::new(2));
    // What the attacker saw on the way: the victim's registration, with both signatures.
    let seen = victim.register();
    let headers = seen.sign(&server);
    let of_victim = |name: &str| {
        let (_, value) = headers.iter().find(|(other, _)| *other == name).unwrap();
        value.clone()
    };
    // It puts its own sig1 in the place of the victim's, over the very same body.
    let own = Request {
        signers: vec![&attacker.identity],
        ..seen.clone()
    };
    let mut forged = own.sign(&server);
    for (name, value) in &mut forged {
        if *name == "signature-input" || *name == "signature" {
            let theirs = of_victim(name);
            let (_, sig2) = theirs.split_once(", ").unwrap();
            *value = format!("{value}, {sig2}");
        }
    }
    let answer = own.send_signed(&server, &forged).await;
    answer.expect_problem(Code::SignatureInvalid);
    victim
        .register()
        .send(&server)
        .await
        .expect::<RegisterClientResponse>(201);
    server.stop().await;
}

#[tokio::test]
async fn refuses_keys_that_prove_nothing() {
    let server = HttpServer::start().await;
    let wallet = Wallet::new(1);
    let body = |messaging_key: String| {
        let client_id = wallet.identity.hex();
        let request = RegisterClientRequest {
            client_id,
            messaging_key,
        };
        wallet.register().json(&request)
    };
    let small_order = body(format!("01{}", "00".repeat(31)));
    small_order
        .send(&server)
        .await
        .expect_problem(Code::InvalidKey);
    let short = body("abcd".to_owned());
    short.send(&server).await.expect_problem(Code::InvalidKey);
    server.stop().await;
}

#[tokio::test]
async fn rotates_the_messaging_key_and_keeps_the_old_mailbox_readable() {
    let server = HttpServer::start().await;
    let (alice, bob) = (
        Wallet::registered(1, &server).await,
        Wallet::registered(2, &server).await,
    );
    alice.send(&bob, 7, &server).await;
    let new_key = RequestKey::new(500);
    let rotate = Request::command(Method::PUT, "/v1/clients/self/messaging-key", &bob.identity)
        .json(&RotateMessagingKeyRequest {
            client_id: bob.identity.hex(),
            messaging_key: new_key.hex(),
        })
        .proven_by(&new_key);
    rotate.send(&server).await.expect_empty(204);

    let known = Request::query("/v1/clients/self", &bob.identity)
        .send(&server)
        .await;
    assert_eq!(
        known.expect::<ClientResponse>(200).messaging_key,
        new_key.hex()
    );
    assert_eq!(bob.fetch(&server).await.messages.len(), 1);
    let new_queue = Request::query("/v1/queue", &new_key).send(&server).await;
    assert_eq!(new_queue.status.as_u16(), 200);
    server.stop().await;
}

#[tokio::test]
async fn knows_a_retired_client_no_more() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let retire = Request::command(Method::DELETE, "/v1/clients/self", &wallet.identity);
    let answer = retire.send(&server).await;
    answer.expect_empty(204);
    let known = Request::query("/v1/clients/self", &wallet.identity);
    then(&answer, known, &server)
        .await
        .expect_problem(Code::NotRegistered);
    let remove = Request::command(Method::DELETE, "/v1/push", &wallet.identity);
    remove.send(&server).await.expect_problem(Code::Retired);
    wallet
        .register()
        .send(&server)
        .await
        .expect_problem(Code::Retired);
    server.stop().await;
}
