//! What the server signs about messages that it let go.

use reqwest::Method;
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, AcknowledgeParked, AcknowledgeThrough,
    DeletionScope, ParkMessages, ParkedMessage, WipeQueueResponse, deletion_receipt_bytes,
};
use satpost_domain::ClientId;
use satpost_domain::ids::parse_hex;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;

fn through(through: u64, chain: &str) -> AcknowledgeMessagesRequest {
    let chain = chain.to_owned();
    AcknowledgeMessagesRequest::Through(AcknowledgeThrough { through, chain })
}

fn park(id: &str) -> AcknowledgeMessagesRequest {
    AcknowledgeMessagesRequest::Park(ParkMessages {
        park: vec![ParkedMessage {
            id: id.to_owned(),
            reason: "other".to_owned(),
        }],
    })
}

async fn tell(
    server: &HttpServer,
    bob: &Wallet,
    request: &AcknowledgeMessagesRequest,
) -> AcknowledgeMessagesResponse {
    bob.done_with(request).send(server).await.expect(200)
}

fn holds(server: &HttpServer, signed: &[u8], receipt: &str) -> bool {
    let key = ClientId::new(server.keys.public_key()).unwrap();
    key.verify(signed, &parse_hex(receipt).unwrap()).is_ok()
}

/// The receipt is for this scope in the queue of `bob`, and for nothing else.
fn expect_receipt(
    server: &HttpServer,
    bob: &Wallet,
    request: &AcknowledgeMessagesRequest,
    answer: &AcknowledgeMessagesResponse,
) {
    let scope = DeletionScope::of(request).unwrap();
    let (at, receipt) = (answer.at.unwrap(), answer.receipt.as_ref().unwrap());
    let queue = bob.messaging.bytes();
    let signed =
        |scope: &DeletionScope, deleted, at| deletion_receipt_bytes(&queue, scope, deleted, at);
    assert!(holds(server, &signed(&scope, answer.deleted, at), receipt));
    for other in [
        signed(&DeletionScope::Everything, answer.deleted, at),
        signed(&scope, answer.deleted + 1, at),
        signed(&scope, answer.deleted, at + 1),
    ] {
        assert!(!holds(server, &other, receipt));
    }
}

#[tokio::test]
async fn an_acknowledgement_is_answered_with_a_receipt() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let mut ids = Vec::new();
    for byte in 1..=4 {
        ids.push(alice.send(&bob, byte, &server).await.id);
    }
    let page = bob.fetch(&server).await;
    let parked = tell(&server, &bob, &park(&ids[1])).await;
    assert_eq!(parked, AcknowledgeMessagesResponse::default());

    let before = server.now().as_millis();
    let request = through(3, &page.messages[2].chain);
    let command = bob.done_with(&request);
    let answer: AcknowledgeMessagesResponse = command.send(&server).await.expect(200);
    assert_eq!(answer.deleted, 2);
    assert!((before..=server.now().as_millis()).contains(&answer.at.unwrap()));
    expect_receipt(&server, &bob, &request, &answer);
    let again: AcknowledgeMessagesResponse = command.send(&server).await.expect(200);
    assert_eq!(again, answer);

    // Another command lets go of nothing: the same time, and none of it its own doing.
    let other = tell(&server, &bob, &request).await;
    assert_eq!((other.deleted, other.at), (0, answer.at));
    expect_receipt(&server, &bob, &request, &other);

    // Parked messages are named in any order.
    tell(&server, &bob, &park(&ids[3])).await;
    let parked = vec![ids[3].clone(), ids[1].clone(), ids[3].clone()];
    let request = AcknowledgeMessagesRequest::Parked(AcknowledgeParked { parked });
    let answer = tell(&server, &bob, &request).await;
    assert_eq!(answer.deleted, 2);
    expect_receipt(&server, &bob, &request, &answer);
    server.stop().await;
}

/// A signature under a chain that somebody made up would be evidence against an honest server.
#[tokio::test]
async fn nothing_is_signed_that_the_server_does_not_know() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    let nothing = through(0, &bob.fetch(&server).await.head.chain);
    let unsigned = AcknowledgeMessagesResponse::default();
    assert_eq!(tell(&server, &bob, &nothing).await, unsigned);
    for byte in 1..=2 {
        alice.send(&bob, byte, &server).await;
    }
    let page = bob.fetch(&server).await;
    tell(&server, &bob, &through(2, &page.head.chain)).await;
    let made_up = through(1, &"00".repeat(32));
    assert_eq!(tell(&server, &bob, &made_up).await, unsigned);
    let known = through(1, &page.messages[0].chain);
    assert_eq!(tell(&server, &bob, &known).await, unsigned);
    server.stop().await;
}

#[tokio::test]
async fn a_wipe_is_answered_with_a_receipt() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    for byte in 1..=3 {
        alice.send(&bob, byte, &server).await;
    }
    let signed = |wiped: &WipeQueueResponse| {
        let (scope, queue) = (DeletionScope::Everything, bob.messaging.bytes());
        deletion_receipt_bytes(&queue, &scope, wiped.deleted, wiped.at)
    };
    let wipe = || Request::command(Method::DELETE, "/v1/queue", &bob.messaging);
    let command = wipe();
    let wiped: WipeQueueResponse = command.send(&server).await.expect(200);
    assert_eq!(wiped.deleted, 3);
    assert!(holds(&server, &signed(&wiped), &wiped.receipt));
    let again: WipeQueueResponse = command.send(&server).await.expect(200);
    assert_eq!(again, wiped);
    let empty: WipeQueueResponse = wipe().send(&server).await.expect(200);
    assert_eq!(empty.deleted, 0);
    assert!(holds(&server, &signed(&empty), &empty.receipt));
    server.stop().await;
}
