//! A mailbox that is full says so to its contacts and to its owner.

use futures_util::{StreamExt as _, stream};
use satpost_api_types::messages::{
    AcknowledgeMessagesResponse, FetchMessagesResponse, SendMessageResponse,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::limits::MAILBOX_MESSAGES_MAX;
use satpost_tests::http_server::HttpServer;

use super::wallet::{Wallet, then};

/// How many messages are on their way at once.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn a_full_mailbox_tells_its_contacts_and_its_owner_until_a_quarter_of_it_is_free() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    stream::iter(0..MAILBOX_MESSAGES_MAX)
        .for_each_concurrent(AT_ONCE, async |_| {
            let sent = alice.message(&bob, 1).send(&server).await;
            sent.expect::<SendMessageResponse>(201);
        })
        .await;
    assert_eq!(bob.fetch(&server).await.full_since, None);

    let before = server.now().as_millis();
    let message = alice.message(&bob, 2);
    let refused = message.send(&server).await;
    let problem = refused.expect_problem(Code::QueueFull);
    assert_eq!(problem.limit, Some(MAILBOX_MESSAGES_MAX as u64));
    assert_eq!(refused.header("retry-after"), Some("300"));
    let full = full_page(&server, &bob).await;
    let since = full.full_since.unwrap();
    assert!((before..=server.now().as_millis()).contains(&since));

    // Refused again, and full since the first time; room for one is not enough to say otherwise.
    message.send(&server).await.expect_problem(Code::QueueFull);
    let page = acknowledge(&server, &bob, &full, 1).await;
    assert_eq!(page.full_since, Some(since));
    message
        .send(&server)
        .await
        .expect::<SendMessageResponse>(201);

    // Two hundred and fifty messages, of which one was let go and one has come since.
    let rest = MAILBOX_MESSAGES_MAX / 4 - 1;
    let page = acknowledge(&server, &bob, &page, rest).await;
    assert_eq!(page.full_since, Some(since));
    let page = acknowledge(&server, &bob, &page, 1).await;
    assert_eq!(page.full_since, None);
    let sent = alice.message(&bob, 3).send(&server).await;
    sent.expect::<SendMessageResponse>(201);
    server.stop().await;
}

/// What the owner is told once it is told that the mailbox is full.
async fn full_page(server: &HttpServer, bob: &Wallet) -> FetchMessagesResponse {
    loop {
        let page: FetchMessagesResponse = bob
            .query("/v1/messages?limit=256")
            .send(server)
            .await
            .expect(200);
        if page.full_since.is_some() {
            return page;
        }
        tokio::task::yield_now().await;
    }
}

/// Lets go of the first messages of `page`, and fetches what is left.
async fn acknowledge(
    server: &HttpServer,
    bob: &Wallet,
    page: &FetchMessagesResponse,
    count: usize,
) -> FetchMessagesResponse {
    let last = &page.messages[count - 1];
    let done = bob.acknowledge(last.seq, &last.chain).send(server).await;
    let answer: AcknowledgeMessagesResponse = done.expect(200);
    assert_eq!(answer.deleted, count as u64);
    let page = then(&done, bob.query("/v1/messages?limit=256"), server).await;
    page.expect(200)
}
