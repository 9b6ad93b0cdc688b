//! A client with its two keys, and the requests it makes all the time.

use reqwest::Method;
use satpost_api_types::addresses::{WatchAddressesRequest, WatchEntry};
use satpost_api_types::clients::RegisterClientRequest;
use satpost_api_types::mailboxes::{
    AddDeliveryTokensRequest, DeliveryTokenUse, NewDeliveryToken, StrangerPolicy,
};
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeThrough, FetchMessagesResponse, SendMessageResponse,
};
use satpost_domain::mailbox::token_hash;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::{Answer, Request, RequestKey};

pub(crate) struct Wallet {
    pub(crate) identity: RequestKey,
    pub(crate) messaging: RequestKey,
}

impl Wallet {
    /// Keys that no other number gives.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            identity: RequestKey::new(2 * number),
            messaging: RequestKey::new(2 * number + 1),
        }
    }

    /// A registered client whose mailbox is open to strangers.
    pub(crate) async fn registered(number: u64, server: &HttpServer) -> Self {
        let wallet = Self::new(number);
        let answer = wallet.register().send(server).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
        wallet.set_policy(StrangerPolicy::Open, server).await;
        wallet
    }

    pub(crate) fn register(&self) -> Request<'_> {
        Request::command(Method::POST, "/v1/clients", &self.identity)
            .json(&RegisterClientRequest {
                client_id: self.identity.hex(),
                messaging_key: self.messaging.hex(),
            })
            .proven_by(&self.messaging)
    }

    pub(crate) fn watch(&self, addresses: &[&str]) -> Request<'_> {
        let addresses = addresses
            .iter()
            .map(|&address| WatchEntry::Address(address.to_owned()))
            .collect();
        Request::command(Method::POST, "/v1/addresses", &self.identity).json(
            &WatchAddressesRequest {
                addresses,
                ..WatchAddressesRequest::default()
            },
        )
    }

    /// A message of the smallest size, filled with `byte`, for `recipient`.
    pub(crate) fn message(&self, recipient: &Self, byte: u8) -> Request<'_> {
        self.message_of(recipient, vec![byte; 512])
    }

    pub(crate) fn message_of(&self, recipient: &Self, body: Vec<u8>) -> Request<'_> {
        let path = format!("/v1/queues/{}/messages", recipient.messaging.hex());
        Request::command(Method::POST, &path, &self.identity).body("application/octet-stream", body)
    }

    /// A message of the smallest size that nobody has signed.
    pub(crate) fn unnamed(&self, recipient: &Self, byte: u8) -> Request<'_> {
        self.message(recipient, byte).unsigned()
    }

    /// Says what becomes of messages of strangers.
    pub(crate) async fn set_policy(&self, strangers: StrangerPolicy, server: &HttpServer) {
        let set = Request::stranger_policy(&self.messaging, strangers);
        set.send(server).await.expect_empty(204);
    }

    /// Lets the holders of tokens write.
    pub(crate) async fn add_tokens(
        &self,
        tokens: &[([u8; 32], DeliveryTokenUse)],
        server: &HttpServer,
    ) {
        let tokens = tokens.iter().map(|(token, uses)| NewDeliveryToken {
            hash: token_hash(token).to_string(),
            uses: *uses,
        });
        let request = AddDeliveryTokensRequest {
            tokens: tokens.collect(),
        };
        let add = Request::command(Method::POST, "/v1/delivery-tokens", &self.messaging);
        add.json(&request).send(server).await.expect_empty(204);
    }

    /// Sends `byte` and waits until `recipient` can see it.
    pub(crate) async fn send(
        &self,
        recipient: &Self,
        byte: u8,
        server: &HttpServer,
    ) -> SendMessageResponse {
        let answer = self.message(recipient, byte).send(server).await;
        let sent = answer.expect(201);
        let position = answer.header("satpost-position").unwrap();
        let seen = recipient
            .query("/v1/queue")
            .header("satpost-min-position", position);
        assert_eq!(seen.send(server).await.status.as_u16(), 200);
        sent
    }

    /// A query signed by the messaging key.
    pub(crate) fn query(&self, path: &str) -> Request<'_> {
        Request::query(path, &self.messaging)
    }

    pub(crate) async fn fetch(&self, server: &HttpServer) -> FetchMessagesResponse {
        self.query("/v1/messages").send(server).await.expect(200)
    }

    pub(crate) fn acknowledge(&self, through: u64, chain: &str) -> Request<'_> {
        let chain = chain.to_owned();
        self.done_with(&AcknowledgeMessagesRequest::Through(AcknowledgeThrough {
            through,
            chain,
        }))
    }

    pub(crate) fn done_with(&self, request: &AcknowledgeMessagesRequest) -> Request<'_> {
        Request::command(Method::POST, "/v1/messages/ack", &self.messaging).json(request)
    }
}

/// Sends a command, and then asks with `query` what it did.
pub(crate) async fn then(answer: &Answer, query: Request<'_>, server: &HttpServer) -> Answer {
    let position = answer
        .header("satpost-position")
        .expect("a command has a position");
    query
        .header("satpost-min-position", position)
        .send(server)
        .await
}
