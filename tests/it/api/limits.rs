//! How often who may ask.

use std::time::Duration;

use satpost_api::{Rate, RateLimits};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;

async fn server_with(rate_limits: RateLimits) -> HttpServer {
    let options = ServerOptions {
        rate_limits,
        ..ServerOptions::default()
    };
    HttpServer::start_with(options).await
}

#[tokio::test]
async fn slows_one_key_down_and_no_other() {
    let server = server_with(RateLimits {
        per_key: Some(Rate::new(3, Duration::from_secs(30))),
        ..RateLimits::off()
    })
    .await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let query = Request::query("/v1/clients/self", &alice.identity);
    assert_eq!(query.send(&server).await.status.as_u16(), 200);
    assert_eq!(query.send(&server).await.status.as_u16(), 200);
    let refused = query.send(&server).await;
    let problem = refused.expect_problem(Code::RateLimited);
    assert_eq!(problem.limit_name.as_deref(), Some("requests-per-key"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let other = Request::query("/v1/clients/self", &bob.identity)
        .send(&server)
        .await;
    assert_eq!(other.status.as_u16(), 200);
    server.stop().await;
}

#[tokio::test]
async fn lets_nobody_spend_the_allowance_of_another_key() {
    let server = server_with(RateLimits {
        per_key: Some(Rate::new(4, Duration::from_secs(30))),
        ..RateLimits::off()
    })
    .await;
    let alice = Wallet::registered(1, &server).await;
    let attacker = Wallet::new(2);
    for _ in 0..20 {
        let query = Request::query("/v1/clients/self", &attacker.identity);
        let mut forged = query.sign(&server);
        for (name, value) in &mut forged {
            if *name == "signature-input" {
                *value = value.replace(&attacker.identity.hex(), &alice.identity.hex());
            }
        }
        let answer = query.send_signed(&server, &forged).await;
        answer.expect_problem(Code::SignatureInvalid);
    }
    let own = Request::query("/v1/clients/self", &alice.identity)
        .send(&server)
        .await;
    assert_eq!(own.status.as_u16(), 200);
    server.stop().await;
}

#[tokio::test]
async fn slows_a_peer_down_before_it_reads() {
    let server = server_with(RateLimits {
        per_peer: Some(Rate::new(2, Duration::from_secs(30))),
        ..RateLimits::off()
    })
    .await;
    let wallet = Wallet::new(1);
    let unsigned = Request {
        signers: Vec::new(),
        ..Request::query("/v1/clients/self", &wallet.identity)
    };
    unsigned
        .send(&server)
        .await
        .expect_problem(Code::SignatureMissing);
    unsigned
        .send(&server)
        .await
        .expect_problem(Code::SignatureMissing);
    let refused = unsigned.send(&server).await;
    let problem = refused.expect_problem(Code::RateLimited);
    assert_eq!(problem.limit_name.as_deref(), Some("requests-per-peer"));
    assert!(refused.header("retry-after").is_some());
    server.stop().await;
}

#[tokio::test]
async fn counts_registrations_by_themselves() {
    let server = server_with(RateLimits {
        registrations_per_peer: Some(Rate::new(1, Duration::from_secs(30))),
        ..RateLimits::off()
    })
    .await;
    let wallet = Wallet::registered(1, &server).await;
    let refused = Wallet::new(2).register().send(&server).await;
    let problem = refused.expect_problem(Code::RateLimited);
    assert_eq!(
        problem.limit_name.as_deref(),
        Some("registrations-per-peer")
    );
    assert!(refused.header("retry-after").is_some());
    let query = Request::query("/v1/clients/self", &wallet.identity)
        .send(&server)
        .await;
    assert_eq!(query.status.as_u16(), 200);
    server.stop().await;
}
