//! The SDK's live receiving against the real API.

use std::time::Duration;

use satpost_client::seed::Seed;
use satpost_client::store::Record;
use satpost_client::wallet::{NewWallet, SendOptions, Wallet, WalletOptions};
use satpost_tests::http_server::HttpServer;
use tempfile::TempDir;
use tokio::time::timeout;

use super::{PATIENCE, until_open};

/// A registered wallet, in a folder of its own.
async fn person(fill: u8, name: &str, server: &HttpServer) -> (Wallet, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WalletOptions::new(folder.path());
    options.server = Some(server.base());
    let new = NewWallet {
        display_name: name.to_owned(),
        network: None,
        restored: false,
    };
    let seed = Seed::from_entropy(&[fill; 16]).unwrap();
    let mut wallet = Wallet::create(seed, new, options).unwrap();
    wallet.register_client().await.unwrap();
    (wallet, folder)
}

/// Two wallets that know each other.
async fn friends(server: &HttpServer) -> [(Wallet, TempDir); 2] {
    let (mut alice, mut bob) = (
        person(1, "Alice", server).await,
        person(2, "Bob", server).await,
    );
    let cards = (alice.0.card(false).unwrap(), bob.0.card(false).unwrap());
    alice.0.add_contact(&cards.1, None).unwrap();
    bob.0.add_contact(&cards.0, None).unwrap();
    [alice, bob]
}

fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| match record {
        Record::Received { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    };
    records.iter().map(text).collect()
}

#[tokio::test]
async fn messages_are_stored_and_acknowledged_as_they_come() {
    let server = HttpServer::start().await;
    let [(mut alice, _a), (mut bob, _b)] = friends(&server).await;
    alice
        .send_message("Bob", "before", SendOptions::default())
        .await
        .unwrap();
    let mut feed = bob.stream_messages().unwrap();
    let report = bob.next_messages(&mut feed).await.unwrap().unwrap();
    assert_eq!(
        (texts(&report.records), report.deleted),
        (vec!["before".to_owned()], 1)
    );
    for text in ["one", "two", "three"] {
        alice
            .send_message("Bob", text, SendOptions::default())
            .await
            .unwrap();
        let next = timeout(PATIENCE, bob.next_messages(&mut feed));
        let report = next.await.unwrap().unwrap().unwrap();
        assert_eq!(
            (texts(&report.records), report.deleted),
            (vec![text.to_owned()], 1)
        );
    }
    assert_eq!(bob.get_queue().await.unwrap().acknowledged, 4);
    // Something newer listens now: the one before stops, and does not fight.
    let mut newer = bob.stream_messages().unwrap();
    alice
        .send_message("Bob", "four", SendOptions::default())
        .await
        .unwrap();
    let report = bob.next_messages(&mut newer).await.unwrap().unwrap();
    assert_eq!(texts(&report.records), ["four"]);
    let told = timeout(PATIENCE, bob.next_messages(&mut feed))
        .await
        .unwrap();
    assert!(told.unwrap().is_none(), "taken over from");
    drop((feed, newer));
    server.stop().await;
}

#[tokio::test]
async fn receiving_that_is_dropped_anywhere_stores_every_message_once_and_in_order() {
    let server = HttpServer::start().await;
    let [(mut alice, _a), (mut bob, _b)] = friends(&server).await;
    let count = 40;
    let send = async {
        for number in 0..count {
            let text = number.to_string();
            alice
                .send_message("Bob", &text, SendOptions::default())
                .await
                .unwrap();
        }
    };
    let receive = async {
        let mut cuts = 0_u64;
        let mut feed = bob.stream_messages().unwrap();
        while bob.records().unwrap().len() < count {
            // From nothing on, so that some are cut before and some in the middle of everything.
            let patience = Duration::from_micros(500 * cuts);
            match timeout(patience, bob.next_messages(&mut feed)).await {
                Ok(report) => assert!(report.unwrap().is_some(), "nobody took over"),
                Err(_) => cuts += 1,
            }
            if cuts % 7 == 6 {
                feed = bob.stream_messages().unwrap();
                cuts += 1;
            }
        }
        assert!(cuts > 0, "nothing was cut");
    };
    tokio::join!(send, receive);
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(texts(&bob.records().unwrap()), expected);
    let mut feed = bob.stream_messages().unwrap();
    let more = timeout(Duration::from_millis(500), bob.next_messages(&mut feed));
    assert!(more.await.is_err(), "nothing comes again");
    assert_eq!(bob.get_queue().await.unwrap().acknowledged, count as u64);
    drop(feed);
    until_open("stream", 0, &server).await;
    server.stop().await;
}
