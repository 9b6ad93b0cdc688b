//! A reader of message streams that knows nothing of the SDK's.

use satpost_api_types::live::{LineEnd, LiveDelivery};
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;
use serde_json::Value;
use tokio::time::timeout;

use super::PATIENCE;
use crate::api::wallet::Wallet;

/// The path of the stream.
pub(super) const STREAM: &str = "/v1/messages/stream";

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) id: Option<u64>,
    pub(super) name: String,
    pub(super) data: Value,
}

impl Told {
    /// The delivery of a `message` or `gone` event, whose id is its seq.
    pub(super) fn delivery(&self) -> LiveDelivery {
        assert!(matches!(self.name.as_str(), "message" | "gone"), "{self:?}");
        let delivery: LiveDelivery = serde_json::from_value(self.data.clone()).unwrap();
        assert_eq!(self.id, Some(delivery.message.seq));
        delivery
    }

    /// The head of an `empty` event.
    pub(super) fn end(&self) -> LineEnd {
        assert_eq!((self.name.as_str(), self.id), ("empty", None), "{self:?}");
        serde_json::from_value(self.data.clone()).unwrap()
    }
}

/// An open stream.
pub(super) struct Reader {
    response: reqwest::Response,
    text: String,
}

impl Reader {
    /// Opens the stream of a wallet.
    pub(super) async fn open(wallet: &Wallet, server: &HttpServer) -> Self {
        Self::send(&wallet.query(STREAM), server).await
    }

    /// Opens the stream with what a test adds to the request.
    pub(super) async fn send(request: &Request<'_>, server: &HttpServer) -> Self {
        let mut url = format!("{}{}", server.base(), request.path);
        if !request.query.is_empty() {
            url = format!("{url}?{}", request.query);
        }
        let mut sent = server.http.get(url);
        for (name, value) in request.sign(server) {
            sent = sent.header(name, value);
        }
        let response = timeout(PATIENCE, sent.send()).await.unwrap().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let mut reader = Self {
            response,
            text: String::new(),
        };
        assert_eq!(reader.block().await.unwrap(), "retry: 2000");
        reader
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next lines up to an empty one; nothing when the server has ended the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let piece = timeout(PATIENCE, self.response.chunk()).await;
            let piece = piece.expect("an event comes in time");
            let piece = piece.expect("an end in good order")?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event; nothing when the server has ended the stream.
    pub(super) async fn next_or_end(&mut self) -> Option<Told> {
        loop {
            let block = self.block().await?;
            if block == ":" {
                continue;
            }
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            return Some(Told {
                id: field("id: ").map(|id| id.parse().unwrap()),
                name: field("event: ").expect("an event has a name").to_owned(),
                data: serde_json::from_str(field("data: ").expect("and data")).unwrap(),
            });
        }
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Told {
        self.next_or_end().await.expect("the stream goes on")
    }

    /// True when nothing but heartbeats comes for that long.
    pub(super) async fn is_silent_for(&mut self, time: std::time::Duration) -> bool {
        timeout(time, self.next()).await.is_err()
    }

    /// The names of all events until the server ends the stream, and the data of the last.
    pub(super) async fn rest(mut self) -> (Vec<String>, Value) {
        let (mut names, mut last) = (Vec::new(), Value::Null);
        while let Some(told) = self.next_or_end().await {
            names.push(told.name);
            last = told.data;
        }
        (names, last)
    }
}
