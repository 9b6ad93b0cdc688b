//! Connections that are cut anywhere: a client that acknowledges what it has stored gets every message
//! exactly once, in order.

use std::time::Duration;

use satpost_api_types::live::{ClientFrame, JSON_PROTOCOL, LiveDelivery, ServerFrame};
use satpost_tests::http_server::HttpServer;
use satpost_tests::random::Random;
use satpost_tests::signed_request::fresh;
use tokio::time::timeout;

use super::pair;
use super::reader::Reader;
use super::web_socket::{Client, Heard};
use crate::api::wallet::Wallet;

/// How many messages a run has.
const MESSAGES: u8 = 120;
/// How often the connection is cut, each time before its twelfth message: all of them together cannot
/// have told everything.
const CUTS: u32 = 10;
/// How long a client waits for one more message before it is cut anyway.
const SHORT: Duration = Duration::from_millis(200);
/// What the cuts are drawn from; a run with the same number cuts at the same counts.
const SEED: u64 = 0x5a7_9057;

/// What a client has on its disk.
#[derive(Default)]
struct Store {
    bodies: Vec<u8>,
    /// The last one.
    last: Option<LiveDelivery>,
}

impl Store {
    /// Stores a message unless it is stored already; no message may be left out.
    fn store(&mut self, told: LiveDelivery) {
        let expected = self.bodies.len() as u64 + 1;
        assert!(told.message.seq <= expected, "{expected} is left out");
        if told.message.seq == expected {
            self.bodies.push(told.message.body.as_deref().unwrap()[0]);
            self.last = Some(told);
        }
    }

    fn assert_whole(&self) {
        let all: Vec<u8> = (1..=MESSAGES).collect();
        assert_eq!(self.bodies, all, "exactly once, in order (seed {SEED:#x})");
    }
}

/// Sends all messages, slowly enough for some to come while a client listens.
async fn send_all(alice: &Wallet, bob: &Wallet, server: &HttpServer) {
    for byte in 1..=MESSAGES {
        let sent = alice.message(bob, byte).send(server).await;
        assert_eq!(sent.status.as_u16(), 201, "{}", sent.text());
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_delivers_every_message_once_and_in_order() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let receive = async {
        let (mut dice, mut store) = (Random::new(SEED), Store::default());
        let mut round = 0;
        while store.bodies.len() < usize::from(MESSAGES) {
            let mut reader = Reader::open(&bob, &server).await;
            // The last connection lives as long as it takes.
            let mut left = if round < CUTS {
                dice.number_below(12)
            } else {
                u64::MAX
            };
            while left > 0 && store.bodies.len() < usize::from(MESSAGES) {
                let Ok(told) = timeout(SHORT, reader.next()).await else {
                    break;
                };
                if told.name == "message" {
                    store.store(told.delivery());
                    left -= 1;
                }
                // Often the connection is cut before what is stored is acknowledged.
                if dice.number_below(3) == 0
                    && let Some(last) = &store.last
                {
                    let ack = bob.acknowledge(last.message.seq, &last.message.chain);
                    assert_eq!(ack.send(&server).await.status.as_u16(), 200);
                }
            }
            round += 1;
        }
        assert!(round > CUTS, "{round} connections");
        store
    };
    let (store, ()) = tokio::join!(receive, send_all(&alice, &bob, &server));
    store.assert_whole();
    server.stop().await;
}

#[tokio::test]
async fn a_socket_that_is_cut_anywhere_delivers_every_message_once_and_in_order() {
    let server = HttpServer::start().await;
    let (alice, bob) = pair(&server).await;
    let receive = async {
        let (mut dice, mut store) = (Random::new(SEED + 1), Store::default());
        let mut round = 0;
        while store.bodies.len() < usize::from(MESSAGES) {
            let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
            client.credit(256).await;
            let mut left = if round < CUTS {
                dice.number_below(12)
            } else {
                u64::MAX
            };
            while left > 0 && store.bodies.len() < usize::from(MESSAGES) {
                let Ok(heard) = timeout(SHORT, client.hear()).await else {
                    break;
                };
                let Heard::Frame(frame) = heard else {
                    panic!("{heard:?}");
                };
                if let ServerFrame::Message(told) = *frame {
                    store.store(told);
                    left -= 1;
                }
                if dice.number_below(3) == 0
                    && let Some(last) = &store.last
                {
                    let ack = ClientFrame::Ack {
                        id: fresh(),
                        through: last.message.seq,
                        chain: last.message.chain.clone(),
                    };
                    // Its answer is often lost with the connection.
                    client.send(&ack).await;
                }
            }
            round += 1;
        }
        assert!(round > CUTS, "{round} connections");
        store
    };
    let (store, ()) = tokio::join!(receive, send_all(&alice, &bob, &server));
    store.assert_whole();
    server.stop().await;
}
