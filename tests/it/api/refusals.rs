//! Refusals tell nothing: whatever the reason, they are the same in each byte, and all of them wait.

use std::time::Duration;

use satpost_api_types::mailboxes::{DeliveryTokenUse, StrangerPolicy};
use satpost_api_types::messages::SendMessageResponse;
use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::limits::{KNOCK_WORK_AGE_MAX, KNOCKS_MAX};
use satpost_domain::mailbox::{WorkProof, WorkSubject};
use satpost_domain::{CommandId, MessagingKey, hash};
use satpost_tests::http_server::{HttpServer, KNOCK_WORK_BITS, ServerOptions};
use satpost_tests::signed_request::{Answer, Request};
use tokio::time::Instant;

use super::strangers::{revoke, subject, token, token_text, with_work, with_work_for};
use super::wallet::Wallet;

/// Work of some bits, and less than asked for.
fn short_work(request: &Request<'_>, server: &HttpServer) -> WorkProof {
    let (subject, now) = (subject(request), server.now());
    let proofs = (0..).map(|nonce| WorkProof {
        created: now.as_secs(),
        nonce,
    });
    let mut short = proofs.filter(|proof| {
        proof.holds(&subject, 4, now) && !proof.holds(&subject, KNOCK_WORK_BITS, now)
    });
    short.next().unwrap()
}

/// Everything that a sender can be refused for, on a server of the test's own.
async fn refusals<'k>(server: &HttpServer, alice: &'k Wallet) -> Vec<(&'static str, Request<'k>)> {
    let bob = Wallet::registered(2, server).await;
    bob.set_policy(StrangerPolicy::Knock, server).await;
    let closed = Wallet::registered(3, server).await;
    closed.set_policy(StrangerPolicy::Refuse, server).await;
    let unknown = Wallet::new(5);

    let tokens = [
        (token(1), DeliveryTokenUse::Lasting),
        (token(2), DeliveryTokenUse::Once),
    ];
    bob.add_tokens(&tokens, server).await;
    revoke(&bob, &[token(1)], server).await;
    let message = || alice.unnamed(&bob, 7);
    let spent = || message().header("delivery-token", token_text(2));
    spent()
        .send(server)
        .await
        .expect::<SendMessageResponse>(201);

    // A mailbox with as many knocks as it takes.
    let besieged = Wallet::registered(6, server).await;
    besieged.set_policy(StrangerPolicy::Knock, server).await;
    for _ in 0..KNOCKS_MAX {
        let knock = with_work(alice.unnamed(&besieged, 7), server);
        knock.send(server).await.expect::<SendMessageResponse>(201);
    }

    let other = |change: fn(&mut WorkSubject)| {
        let request = message();
        let mut subject = subject(&request);
        change(&mut subject);
        with_work_for(request, &subject, server)
    };
    let stale = {
        let request = message();
        let begun = server.now().as_secs() - KNOCK_WORK_AGE_MAX.as_secs() - 5;
        let proof = subject(&request).work(begun, KNOCK_WORK_BITS);
        request.header("proof-of-work", proof)
    };
    let short = {
        let request = message();
        let proof = short_work(&request, server);
        request.header("proof-of-work", proof)
    };
    let large = Request {
        body: Some(("application/octet-stream", vec![7; 8 * 1024])),
        ..message()
    };
    vec![
        ("unknown recipient", alice.unnamed(&unknown, 7)),
        (
            "unknown recipient, work",
            with_work(alice.unnamed(&unknown, 7), server),
        ),
        ("unknown recipient, signed", alice.message(&unknown, 7)),
        ("strangers refused", alice.unnamed(&closed, 7)),
        (
            "strangers refused, work",
            with_work(alice.unnamed(&closed, 7), server),
        ),
        ("strangers refused, signed", alice.message(&closed, 7)),
        ("no work", message()),
        ("no work, signed", alice.message(&bob, 7)),
        ("too little work", short),
        ("stale work", stale),
        (
            "work for another recipient",
            other(|subject| {
                subject.recipient = MessagingKey::from_stored([9; 32]);
            }),
        ),
        (
            "work for another body",
            other(|subject| subject.digest = hash::sha256(b"")),
        ),
        (
            "work for another key",
            other(|subject| {
                subject.command_id = CommandId::new([9; 16]);
            }),
        ),
        (
            "revoked token",
            message().header("delivery-token", token_text(1)),
        ),
        (
            "unknown token",
            message().header("delivery-token", token_text(9)),
        ),
        ("spent token", spent()),
        ("a large knock", with_work(large, server)),
        (
            "too many knocks",
            with_work(alice.unnamed(&besieged, 7), server),
        ),
    ]
}

/// An answer as text, without what differs from request to request.
fn as_text(answer: &Answer) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    format!(
        "{}\n{}\n{}",
        answer.status,
        headers.join("\n"),
        answer.text()
    )
}

#[tokio::test]
async fn every_refusal_is_the_same_in_each_byte() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let mut first: Option<String> = None;
    for (reason, request) in refusals(&server, &alice).await {
        let answer = request.header("x-request-id", "one").send(&server).await;
        let problem = answer.expect_problem(Code::DeliveryRefused);
        let detail = problem.detail.unwrap();
        assert!(
            detail.contains(&format!("{KNOCK_WORK_BITS} bits")),
            "{detail}"
        );
        let text = as_text(&answer);
        let first = first.get_or_insert_with(|| text.clone());
        assert_eq!(&text, first, "{reason}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_refusal_waits_and_no_success_does() {
    let refusal_time = Duration::from_secs(2);
    let options = ServerOptions {
        refusal_time,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(7, &server).await;
    bob.add_tokens(&[(token(3), DeliveryTokenUse::Lasting)], &server)
        .await;
    let refused = refusals(&server, &alice).await.into_iter();
    let refused = refused.map(|(reason, request)| {
        let server = &server;
        async move {
            let started = Instant::now();
            let answer = request.send(server).await;
            answer.expect_problem(Code::DeliveryRefused);
            let waited = started.elapsed();
            assert!(waited >= refusal_time, "{reason}: {waited:?}");
        }
    });
    futures_util::future::join_all(refused).await;
    let started = Instant::now();
    let message = alice
        .unnamed(&bob, 1)
        .header("delivery-token", token_text(3));
    let sent = message.send(&server).await;
    sent.expect::<SendMessageResponse>(201);
    let took = started.elapsed();
    assert!(took < refusal_time, "{took:?}");
    server.stop().await;
}
