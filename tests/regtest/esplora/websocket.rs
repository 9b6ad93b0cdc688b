//! The WebSocket: what a wallet that tracks addresses is told, over a reorganisation too.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bitcoin::Amount;
use satpost_tests::node::RegtestNode;
use serde_json::{Value, json};

use super::stage::{Esplora, PATIENCE};

/// A WebSocket client of a few lines (RFC 6455): text frames, and answers to pings.
struct Client(TcpStream);

impl Client {
    fn connect(base: &str, path: &str) -> Self {
        let address = base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        Self(stream)
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.frame(0x81, text.as_bytes());
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![kind];
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        // A mask of zeros leaves the payload as it is.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.0.write_all(&frame).unwrap();
    }

    /// The next message, pings answered on the way.
    fn next(&mut self) -> Value {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).unwrap();
            let mut length = u64::from(head[1] & 0x7f);
            if length == 126 {
                let mut long = [0; 2];
                self.0.read_exact(&mut long).unwrap();
                length = u64::from(u16::from_be_bytes(long));
            } else if length == 127 {
                let mut long = [0; 8];
                self.0.read_exact(&mut long).unwrap();
                length = u64::from_be_bytes(long);
            }
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).unwrap();
            match head[0] & 0x0f {
                1 => return serde_json::from_slice(&payload).unwrap(),
                9 => self.frame(0x8a, &payload),
                kind => panic!("a frame of kind {kind}"),
            }
        }
    }

    /// Reads on to a message with this member.
    fn until(&mut self, member: &str) -> Value {
        loop {
            let message = self.next();
            if let Some(value) = message.get(member) {
                return value.clone();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_blocks_and_the_transactions_of_addresses() {
    let node = RegtestNode::start();
    node.mine(2);
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let (one, other) = (node.new_address(), node.new_address());
    let base = esplora.base.clone();
    let client = tokio::task::spawn_blocking(move || {
        let mut single = Client::connect(&base, "/api/v1/ws");
        let mut many = Client::connect(&base, "/v1/ws");
        single.send(&json!({ "action": "ping" }));
        assert_eq!(single.next(), json!({ "pong": true }));
        single.send(&json!({ "action": "want", "data": ["blocks"] }));
        let blocks = single.until("blocks");
        assert_eq!(blocks[9]["height"], 103);
        single.send(&json!({ "track-address": one.to_string() }));
        many.send(&json!({ "track-addresses": [one.to_string(), other.to_string()] }));
        // Answered in order: whoever has this has been heard.
        for client in [&mut single, &mut many] {
            client.send(&json!({ "action": "ping" }));
            client.until("pong");
        }

        let paid = node.send(&one, Amount::from_sat(50_000)).to_string();
        assert_eq!(single.until("address-transactions")[0]["txid"], paid);
        let told = many.until("multi-address-transactions");
        assert_eq!(told[one.to_string()]["mempool"][0]["txid"], paid);
        assert!(told.get(other.to_string()).is_none());

        let block = node.mine(1)[0];
        let message = single.next();
        assert_eq!(message["block"]["id"], block.to_string());
        assert_eq!(message["block-transactions"][0]["txid"], paid);
        let told = many.until("multi-address-transactions");
        let confirmed = &told[one.to_string()]["confirmed"][0];
        assert_eq!(confirmed["status"]["block_hash"], block.to_string());

        // The block is taken back, and what it held is gone: the miner's coin went elsewhere.
        node.invalidate_block(&block);
        let back = single.until("address-transactions");
        assert_eq!(
            (&back[0]["txid"], &back[0]["status"]["confirmed"]),
            (&json!(paid), &json!(false))
        );
        let replaced = node.bump_fee(&paid.parse().unwrap()).to_string();
        let message = single.next();
        assert_eq!(message["address-transactions"][0]["txid"], replaced);
        assert_eq!(message["address-removed-transactions"][0]["txid"], paid);
        node
    });
    client.await.unwrap();
    esplora.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_what_is_wrong_or_too_much() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let esplora = Esplora::start(&node, &folder).await;
    let base = esplora.base.clone();
    let client = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(&base, "/api/v1/ws");
        client.send(&json!({ "track-address": "nonsense" }));
        assert_eq!(
            client.until("track-address-error"),
            "Invalid Bitcoin address"
        );
        client.send(&json!({ "track-addresses": vec!["x"; 101] }));
        let error = client.until("track-addresses-error");
        assert!(error.as_str().unwrap().contains("at most 100"), "{error}");
        client.send(&json!([]));
        assert_eq!(client.until("error"), "a message is a JSON object");
    });
    client.await.unwrap();
    esplora.stop().await;
}
