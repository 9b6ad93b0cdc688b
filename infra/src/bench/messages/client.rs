//! A client of the server on one connection: it registers, sends, fetches and acknowledges.

use std::sync::Arc;

use satpost_api_types::clients::RegisterClientRequest;
use satpost_api_types::header;
use satpost_api_types::mailboxes::{SetStrangerPolicyRequest, StrangerPolicy};
use satpost_api_types::messages::{AcknowledgeThrough, FetchMessagesResponse, SignedHead};
use serde::Serialize;

use super::connection::{Answer, Connection};
use super::server::BenchServer;
use super::signer::{Key, Request, signed};
use crate::bench::BenchError;
use crate::bench::workload::Random;

const NAME: &str = "the server";
const JSON: &str = "application/json";
/// Keys and nonces of the clients; the same in every run.
const SEED: u64 = 0x5a7;
/// How long a fetch waits for a message: the longest there is.
const PREFER: (&str, &str) = ("prefer", "wait=30");

/// A connection and what requests on it are made of.
pub(super) struct Client {
    connection: Connection,
    authority: Arc<str>,
    random: Random,
}

/// A mailbox, and the client whose it is.
pub(super) struct Mailbox {
    pub(super) identity: Key,
    messaging: Key,
    /// Where messages for it are sent to.
    pub(super) path: String,
}

impl Client {
    /// Connects. Each `number` has other keys.
    pub(super) async fn connect(server: &BenchServer, number: usize) -> Result<Self, BenchError> {
        let connection = Connection::open(server.address).await;
        Ok(Self {
            connection: connection.map_err(BenchError::of(NAME))?,
            authority: Arc::clone(&server.authority),
            random: Random::new(SEED, number),
        })
    }

    /// Registers a new client, and waits until it can be seen everywhere. Any registered client may
    /// write to its mailbox.
    pub(super) async fn register(&mut self) -> Result<Mailbox, BenchError> {
        let identity = Key::new(&mut self.random)?;
        let messaging = Key::new(&mut self.random)?;
        let body = json(&RegisterClientRequest {
            client_id: identity.public.clone(),
            messaging_key: messaging.public.clone(),
        })?;
        let request = post("/v1/clients", JSON, &body);
        let answer = self.call(request, &[&identity, &messaging]).await?;
        let answer = expect(answer, 201)?;
        let position = answer.header(header::POSITION).unwrap_or_default();
        let position = position.to_owned();
        let headers = [(header::MIN_POSITION, position.as_str())];
        let request = Request {
            headers: &headers,
            ..get("/v1/clients/self", "")
        };
        expect(self.call(request, &[&identity]).await?, 200)?;
        let body = json(&SetStrangerPolicyRequest {
            strangers: StrangerPolicy::Open,
        })?;
        let request = Request {
            method: "PUT",
            ..post("/v1/policy", JSON, &body)
        };
        expect(self.call(request, &[&messaging]).await?, 204)?;
        let path = format!("/v1/queues/{}/messages", messaging.public);
        Ok(Mailbox {
            identity,
            messaging,
            path,
        })
    }

    /// Sends a message to the mailbox at this path; it is durable then.
    pub(super) async fn send(
        &mut self,
        sender: &Key,
        path: &str,
        body: &[u8],
    ) -> Result<(), BenchError> {
        let request = post(path, "application/octet-stream", body);
        expect(self.call(request, &[sender]).await?, 201)?;
        Ok(())
    }

    /// Waits for messages; nothing when none came in time.
    pub(super) async fn fetch(
        &mut self,
        mailbox: &Mailbox,
    ) -> Result<Option<FetchMessagesResponse>, BenchError> {
        let answer = self.call(long_poll(), &[&mailbox.messaging]).await?;
        if answer.status == 204 {
            return Ok(None);
        }
        let page = serde_json::from_slice(expect(answer, 200)?.body);
        page.map(Some).map_err(BenchError::of(NAME))
    }

    /// Begins to wait for messages; what comes is not read.
    pub(super) async fn begin_to_wait(&mut self, mailbox: &Mailbox) -> Result<(), BenchError> {
        let keys = [&mailbox.messaging];
        let bytes = signed(long_poll(), &self.authority, &keys, &mut self.random);
        let sent = self.connection.send(&bytes).await;
        sent.map_err(BenchError::of(NAME))
    }

    /// Lets the server forget everything up to `head`.
    pub(super) async fn acknowledge(
        &mut self,
        mailbox: &Mailbox,
        head: SignedHead,
    ) -> Result<(), BenchError> {
        let body = json(&AcknowledgeThrough {
            through: head.seq,
            chain: head.chain,
        })?;
        let request = post("/v1/messages/ack", JSON, &body);
        expect(self.call(request, &[&mailbox.messaging]).await?, 200)?;
        Ok(())
    }

    async fn call(
        &mut self,
        request: Request<'_>,
        keys: &[&Key],
    ) -> Result<Answer<'_>, BenchError> {
        let bytes = signed(request, &self.authority, keys, &mut self.random);
        let answer = self.connection.ask(&bytes).await;
        answer.map_err(BenchError::of(NAME))
    }
}

const fn get<'a>(path: &'a str, query: &'a str) -> Request<'a> {
    Request {
        method: "GET",
        path,
        query,
        body: None,
        headers: &[],
    }
}

const fn post<'a>(path: &'a str, content_type: &'a str, body: &'a [u8]) -> Request<'a> {
    Request {
        method: "POST",
        body: Some((content_type, body)),
        ..get(path, "")
    }
}

const fn long_poll() -> Request<'static> {
    Request {
        headers: &[PREFER],
        ..get("/v1/messages", "limit=256")
    }
}

fn json<T: Serialize>(body: &T) -> Result<Vec<u8>, BenchError> {
    serde_json::to_vec(body).map_err(BenchError::of("a request"))
}

fn expect(answer: Answer<'_>, status: u16) -> Result<Answer<'_>, BenchError> {
    if answer.status == status {
        return Ok(answer);
    }
    let said = String::from_utf8_lossy(answer.body);
    Err(BenchError::of(NAME)(format!(
        "it answers {} where {status} is expected: {said}",
        answer.status
    )))
}

#[cfg(test)]
mod tests {
    use satpost_domain::limits::MESSAGE_SIZE_BUCKETS;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_message_goes_its_whole_way_through_a_real_server() {
        let folder = tempfile::tempdir().unwrap();
        let server = BenchServer::start(folder.path()).await.unwrap();
        let mut sender = Client::connect(&server, 0).await.unwrap();
        let own = sender.register().await.unwrap();
        let mut recipient = Client::connect(&server, 1).await.unwrap();
        let mailbox = recipient.register().await.unwrap();
        let path = mailbox.path.clone();
        let receiving = tokio::spawn(async move {
            let page = recipient.fetch(&mailbox).await.unwrap().unwrap();
            let head = page.head.clone();
            recipient.acknowledge(&mailbox, head).await.unwrap();
            page
        });
        let body = [7; MESSAGE_SIZE_BUCKETS[0]];
        sender.send(&own.identity, &path, &body).await.unwrap();
        let page = receiving.await.unwrap();
        assert_eq!((page.messages.len(), page.head.seq), (1, 1));
        let error = sender.send(&own.identity, &path, &body[1..]).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("201 is expected"), "{error}");
        server.stop().await.unwrap();
    }
}
