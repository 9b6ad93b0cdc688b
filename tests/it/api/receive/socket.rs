//! The socket: deliveries, acknowledgements on the way back, and how it begins.

use satpost_api::{Rate, RateLimits};
use satpost_api_types::live::{CBOR_PROTOCOL, ClientFrame, JSON_PROTOCOL, ServerFrame};
use satpost_api_types::messages::{FetchMessagesResponse, ParkedMessage};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::{Request, fresh};
use std::time::Duration;

use super::web_socket::{Client, upgrade};
use super::{expect, pair, send, until_metric, verify};
use crate::api::wallet::Wallet;

fn ack(id: &str, through: u64, chain: &str) -> ClientFrame {
    ClientFrame::Ack {
        id: id.to_owned(),
        through,
        chain: chain.to_owned(),
    }
}

#[tokio::test]
async fn tells_messages_and_takes_acknowledgements_in_either_form() {
    for protocol in [JSON_PROTOCOL, CBOR_PROTOCOL] {
        let server = HttpServer::start().await;
        let (alice, bob) = pair(&server).await;
        let mut client = Client::connect(&bob, protocol, &server, None).await;
        let ServerFrame::Hello { head, credit_max } = client.frame().await else {
            panic!("no greeting");
        };
        assert_eq!((head.seq, credit_max), (0, 256));
        verify(&head, &bob, &server);
        let ServerFrame::Empty(end) = client.frame().await else {
            panic!("nothing waits");
        };
        assert_eq!(end.head, head);
        client.credit(10).await;
        alice.send(&bob, 1, &server).await;
        let told = client.message().await;
        expect(&told, 1, 1, &bob, &server);
        assert!(matches!(client.frame().await, ServerFrame::Empty(_)));
        let id = fresh();
        client.send(&ack(&id, 1, &told.message.chain)).await;
        let ServerFrame::Acknowledged {
            id: answered,
            through: Some(1),
            deleted: 1,
            at: Some(_),
            receipt: Some(_),
            position,
        } = client.frame().await
        else {
            panic!("not acknowledged");
        };
        assert_eq!(answered, id);
        let seen = bob.query("/v1/messages");
        let seen = seen.header("satpost-min-position", position);
        let page: FetchMessagesResponse = seen.send(&server).await.expect(200);
        assert!(page.messages.is_empty());
        assert_eq!(page.head, told.head, "the next one begins here");
        until_metric(
            "satpost_http_requests_total{code=\"ok\",operation=\"acknowledge_messages\",status=\"200\"} 1",
            &server,
        )
        .await;
        drop(client);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_refused_command_is_answered_with_a_problem_and_the_socket_goes_on() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(2, &alice, &bob, &server).await;
    let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
    client.credit(10).await;
    let first = client.message().await;
    let second = client.message().await;
    assert!(matches!(client.frame().await, ServerFrame::Empty(_)));
    let chain = &second.message.chain;
    let unknown = ClientFrame::Park {
        id: fresh(),
        park: vec![ParkedMessage {
            id: "ab".repeat(16),
            reason: "other".to_owned(),
        }],
    };
    for (frame, code) in [
        (ack(&fresh(), 3, chain), Code::AckAheadOfDelivery),
        (ack(&fresh(), 1, chain), Code::ChainMismatch),
        (ack(&fresh(), 1, "chain"), Code::Malformed),
        (ack("seven", 1, &first.message.chain), Code::Malformed),
        (unknown, Code::UnknownMessage),
        (ClientFrame::Credit { n: 0 }, Code::LimitExceeded),
        (ClientFrame::Credit { n: 257 }, Code::LimitExceeded),
    ] {
        client.send(&frame).await;
        let problem = client.problem().await;
        assert_eq!(
            (problem.code.as_str(), problem.status),
            (code.as_str(), code.status())
        );
        let id = match &frame {
            ClientFrame::Credit { .. } => None,
            ClientFrame::Ack { id, .. }
            | ClientFrame::Park { id, .. }
            | ClientFrame::ParkedAck { id, .. } => Some(id),
        };
        assert_eq!(problem.id.as_ref(), id);
        let text = format!("{problem:?}");
        assert!(!text.contains(&first.message.chain), "a proof of delivery");
    }
    client.send(&ack(&fresh(), 2, chain)).await;
    let done = client.frame().await;
    assert!(matches!(done, ServerFrame::Acknowledged { deleted: 2, .. }));
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_command_gives_the_first_answer_over_another_socket_in_another_form() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(2, &alice, &bob, &server).await;
    let chains: Vec<String> = bob
        .fetch(&server)
        .await
        .messages
        .into_iter()
        .map(|one| one.chain)
        .collect();
    let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
    let id = fresh();
    client.send(&ack(&id, 1, &chains[0])).await;
    let first = client.frame().await;
    assert!(matches!(
        first,
        ServerFrame::Acknowledged { deleted: 1, .. }
    ));
    let mut client = Client::open(&bob, CBOR_PROTOCOL, &server).await;
    client.send(&ack(&id, 1, &chains[0])).await;
    assert_eq!(client.frame().await, first);
    client.send(&ack(&id, 2, &chains[1])).await;
    let problem = client.problem().await;
    assert_eq!(problem.code, Code::IdempotencyMismatch.as_str());
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn parks_and_lets_go_of_parked_messages() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    send(2, &alice, &bob, &server).await;
    let mut client = Client::open(&bob, CBOR_PROTOCOL, &server).await;
    client.credit(10).await;
    let first = client.message().await.message;
    client.message().await;
    assert!(matches!(client.frame().await, ServerFrame::Empty(_)));
    let (park, ack) = (fresh(), fresh());
    let reason = "decrypt".to_owned();
    let id = first.id.clone();
    client
        .send(&ClientFrame::Park {
            id: park.clone(),
            park: vec![ParkedMessage { id, reason }],
        })
        .await;
    let ServerFrame::Parked { id, position } = client.frame().await else {
        panic!("not parked");
    };
    assert_eq!(id, park);
    let aside = bob.query("/v1/messages?parked=true");
    let aside = aside.header("satpost-min-position", position);
    let aside: FetchMessagesResponse = aside.send(&server).await.expect(200);
    assert_eq!(aside.messages[0].id, first.id);
    let parked = vec![first.id];
    client
        .send(&ClientFrame::ParkedAck {
            id: ack.clone(),
            parked,
        })
        .await;
    let ServerFrame::Acknowledged {
        id,
        through: None,
        deleted: 1,
        ..
    } = client.frame().await
    else {
        panic!("not acknowledged");
    };
    assert_eq!(id, ack);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn commands_count_against_the_limit_of_the_key() {
    // Two were asked for by opening the mailbox and the socket.
    let per_key = Some(Rate::new(4, Duration::from_secs(600)));
    let server = HttpServer::start_with(ServerOptions {
        rate_limits: RateLimits {
            per_key,
            ..RateLimits::off()
        },
        ..ServerOptions::default()
    })
    .await;
    let (_, bob) = pair(&server).await;
    let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
    assert!(matches!(client.frame().await, ServerFrame::Empty(_)));
    for expected in [
        Code::AckAheadOfDelivery,
        Code::AckAheadOfDelivery,
        Code::RateLimited,
    ] {
        client.send(&ack(&fresh(), 9, &"00".repeat(32))).await;
        let problem = client.problem().await;
        assert_eq!(problem.code, expected.as_str());
        assert_eq!(problem.retry_after.is_some(), expected == Code::RateLimited);
    }
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn refuses_what_is_no_signed_upgrade_with_one_of_its_subprotocols() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let ask = |wallet: &Wallet, headers: Vec<(&'static str, String)>| {
        let mut request = wallet.query("/v1/ws");
        request.headers.extend(headers);
        request.sign(&server)
    };
    let request = bob.query("/v1/ws");
    let plain = request.send(&server).await;
    plain.expect_problem(Code::UpgradeRequired);
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    for protocol in ["", "chat", "satpost.v2+json"] {
        let headers = ask(&bob, upgrade(protocol));
        let refused = request.send_signed(&server, &headers).await;
        let problem = refused.expect_problem(Code::UpgradeRequired);
        assert!(problem.detail.unwrap().contains(JSON_PROTOCOL));
    }
    let mut unsigned = ask(&bob, upgrade(JSON_PROTOCOL));
    unsigned.retain(|(name, _)| !name.starts_with("signature"));
    let refused = request.send_signed(&server, &unsigned).await;
    refused.expect_problem(Code::SignatureMissing);
    let stranger = Wallet::new(9);
    let headers = ask(&stranger, upgrade(JSON_PROTOCOL));
    let refused = Request::query("/v1/ws", &stranger.messaging);
    let refused = refused.send_signed(&server, &headers).await;
    refused.expect_problem(Code::NotRegistered);
    // Nobody was taken over from.
    until_metric("satpost_http_live_readers{kind=\"socket\"} 0", &server).await;
    server.stop().await;
}
