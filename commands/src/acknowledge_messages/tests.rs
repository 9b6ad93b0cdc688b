//! What the recipient is told.

use satpost_domain::ClientId;
use satpost_domain::mailbox::{ParkReason, chain_start, extend_chain};

use super::*;
use crate::park_messages::park_messages;
use crate::register_client::register_client;
use crate::send_message::send_message;
use crate::testing::{TestServer, befriend, context, posting};

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);

/// A mailbox with three messages, their ids, and the chain at the last of them.
async fn holding_three() -> (TestServer, Vec<MessageId>, ChainHash) {
    let server = TestServer::start();
    register_client(&server.handler, context(0), ALICE, KEY)
        .await
        .unwrap();
    befriend(&server.handler, KEY).await;
    let mut ids = Vec::new();
    let mut chain = chain_start(&KEY);
    for seq in 1..=3 {
        let posting = posting(KEY, [0; 512]);
        let sent = send_message(&server.handler, context(seq), &posting).await;
        let sent = sent.unwrap();
        chain = extend_chain(chain, seq, sent.id, sent.digest);
        ids.push(sent.id);
    }
    (server, ids, chain)
}

async fn acknowledge(server: &TestServer, number: u64, what: Acknowledgement) -> u64 {
    acknowledge_messages(&server.handler, context(number), KEY, what)
        .await
        .unwrap()
        .deleted
}

#[tokio::test]
async fn counts_the_bodies_that_were_forgotten() {
    let (server, ids, chain) = holding_three().await;
    let parked = vec![(ids[1], ParkReason::Decrypt)];
    park_messages(&server.handler, context(4), KEY, parked)
        .await
        .unwrap();

    let through = Acknowledgement::Through { seq: 3, chain };
    assert_eq!(acknowledge(&server, 5, through.clone()).await, 2);
    assert_eq!(acknowledge(&server, 6, through.clone()).await, 0);
    assert_eq!(server.log.held(), [ids[1].into()].into());

    let parked = Acknowledgement::Parked(vec![ids[1]]);
    assert_eq!(acknowledge(&server, 7, parked).await, 1);
    assert!(server.log.held().is_empty());

    // The very same command is told what it was told the first time.
    let server = server.restart();
    assert_eq!(acknowledge(&server, 5, through).await, 2);
}

#[tokio::test]
async fn tells_when_the_bodies_were_forgotten() {
    let (server, _, chain) = holding_three().await;
    let tell = async |server: &TestServer, number, what: &Acknowledgement| {
        acknowledge_messages(&server.handler, context(number), KEY, what.clone())
            .await
            .unwrap()
    };
    let nothing = Acknowledgement::Through {
        seq: 0,
        chain: chain_start(&KEY),
    };
    assert_eq!(tell(&server, 4, &nothing).await.at, None);
    let through = Acknowledgement::Through { seq: 3, chain };
    let first = tell(&server, 5, &through).await;
    assert!(first.at.is_some());
    assert_eq!(tell(&server, 5, &through).await, first);
    // Another command tells the same time, and that it forgot none itself.
    let again = tell(&server, 6, &through).await;
    assert_eq!((again.deleted, again.at), (0, first.at));
    let server = server.restart();
    assert_eq!(tell(&server, 5, &through).await, first);
    assert_eq!(tell(&server, 7, &through).await.at, first.at);

    // Behind it no chain is kept: whatever is named there, the server vouches for nothing.
    let (seq, chain) = (2, ChainHash::new([9; 32]));
    let behind = tell(&server, 8, &Acknowledgement::Through { seq, chain }).await;
    assert_eq!((behind.deleted, behind.at), (0, None));
}
