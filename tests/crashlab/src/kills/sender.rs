//! A client that writes to every queue, one message after the other, and asks until each is certain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use satpost_client::http::{HttpClient, HttpOptions};
use satpost_client::keys::{IdentitySecret, MessagingSecret};
use satpost_client::seed::Seed;
use satpost_domain::limits::MESSAGE_SIZE_BUCKETS;
use satpost_domain::{CommandId, MessagingKey};

use super::history::Sent;

/// How long a client waits before it asks a server again that is down.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Sender {
    number: usize,
    http: HttpClient,
    identity: IdentitySecret,
    queues: Vec<MessagingKey>,
}

/// Keys that differ for every client of this test.
pub(crate) fn seed(role: u8, number: usize) -> Seed {
    let mut entropy = [role; 16];
    entropy[15] = u8::try_from(number).expect("few clients");
    Seed::from_entropy(&entropy).expect("16 bytes make a seed")
}

pub(crate) fn http(url: &str) -> HttpClient {
    let base = satpost_client::base_url::parse(url).expect("the URL of the server");
    HttpClient::new(base, HttpOptions::default()).expect("an HTTP client")
}

impl Sender {
    pub(super) async fn register(url: &str, number: usize, queues: Vec<MessagingKey>) -> Self {
        let seed = seed(1, number);
        let identity = IdentitySecret::derive(&seed);
        let http = http(url);
        http.register_client(&identity, &MessagingSecret::derive(&seed, 0))
            .await
            .expect("the server takes a new client");
        Self {
            number,
            http,
            identity,
            queues,
        }
    }

    /// Writes until told to stop; returns what it wrote. Every message in the list was accepted.
    pub(super) async fn write_until(self, stop: Arc<AtomicBool>) -> Vec<Sent> {
        let mut sent = Vec::new();
        for number in 1.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let recipient =
                (self.number + usize::try_from(number).expect("few messages")) % self.queues.len();
            self.send_until_certain(recipient, number).await;
            sent.push(Sent {
                tag: (self.number, number),
                recipient,
            });
        }
        sent
    }

    /// One command id for one message: a repeat after a lost answer must not make a second one.
    async fn send_until_certain(&self, recipient: usize, number: u64) {
        let mut command = [0; 16];
        command[..8].copy_from_slice(&number.to_be_bytes());
        let body = body(self.number, number);
        loop {
            let sending = self.http.send_message(
                &self.identity,
                &self.queues[recipient],
                &body,
                None,
                CommandId::new(command),
            );
            match sending.await {
                Ok(_) => return,
                Err(error) => {
                    assert!(!is_final(&error), "the server refuses a message: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// True for an answer that would be the same for a repeat. A full queue is emptied by its reader.
pub(super) fn is_final(error: &satpost_client::http::CallError) -> bool {
    use satpost_api_types::problem::ProblemCode;
    error.code().is_some_and(|code| {
        !matches!(
            code,
            ProblemCode::QueueFull
                | ProblemCode::StorageFull
                | ProblemCode::Unavailable
                | ProblemCode::RateLimited
                | ProblemCode::ClockSkew
                | ProblemCode::Behind
        )
    })
}

/// A message of the smallest size that says who wrote it and which it is.
pub(crate) fn body(sender: usize, number: u64) -> Vec<u8> {
    let mut body = vec![0; MESSAGE_SIZE_BUCKETS[0]];
    body[..8].copy_from_slice(&(sender as u64).to_be_bytes());
    body[8..16].copy_from_slice(&number.to_be_bytes());
    body
}
