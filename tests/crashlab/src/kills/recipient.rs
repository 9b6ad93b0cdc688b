//! A client that reads its queue, checks what it gets, and acknowledges what it has stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeThrough, Delivery, FetchMessagesResponse,
};
use satpost_client::http::{FetchMessages, HttpClient};
use satpost_client::keys::{IdentitySecret, MessagingSecret};
use satpost_domain::MessagingKey;
use satpost_domain::hash::sha256;
use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::{chain_start, extend_chain};

use super::history::{Inbox, Received, Tag};
use super::sender::{http, is_final, seed};

/// How long a client waits before it asks again.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Recipient {
    http: HttpClient,
    messaging: MessagingSecret,
    inbox: Inbox,
    /// The chain after each message of the inbox.
    chains: BTreeMap<u64, ChainHash>,
    /// What the server has confirmed to have let go.
    acknowledged: u64,
    /// What the server was asked to let go; whether it did is not known.
    asked: u64,
    fetches: u64,
}

impl Recipient {
    pub(super) async fn register(url: &str, number: usize) -> Self {
        let seed = seed(2, number);
        let messaging = MessagingSecret::derive(&seed, 0);
        let http = http(url);
        http.register_client(&IdentitySecret::derive(&seed), &messaging)
            .await
            .expect("the server takes a new client");
        http.set_stranger_policy(&messaging, StrangerPolicy::Open)
            .await
            .expect("the server lets strangers in");
        let chains = BTreeMap::from([(0, chain_start(&messaging.public()))]);
        let inbox = Inbox {
            recipient: number,
            ..Inbox::default()
        };
        Self {
            http,
            messaging,
            inbox,
            chains,
            acknowledged: 0,
            asked: 0,
            fetches: 0,
        }
    }

    pub(super) fn key(&self) -> MessagingKey {
        self.messaging.public()
    }

    /// Reads and acknowledges until told to stop.
    pub(super) async fn read_until(mut self, stop: Arc<AtomicBool>) -> Self {
        while !stop.load(Ordering::SeqCst) {
            self.read_some().await;
            tokio::time::sleep(PAUSE).await;
        }
        self
    }

    /// Reads the rest: until the server has said that there is nothing.
    pub(super) async fn drain(mut self) -> Inbox {
        while self.read_some().await != Some(0) {}
        self.inbox
    }

    /// Fetches a page from the start of the queue, stores it, acknowledges some of it. How many were in
    /// the page; nothing when the server did not answer.
    async fn read_some(&mut self) -> Option<usize> {
        self.fetches += 1;
        let fetched = self
            .http
            .fetch_messages(&self.messaging, FetchMessages::default());
        let page = match fetched.await {
            Ok(page) => page,
            Err(error) => {
                assert!(!is_final(&error), "the server refuses a fetch: {error}");
                return None;
            }
        };
        let page = page.filter(|page| !page.messages.is_empty());
        self.check_start(page.as_ref());
        let Some(page) = page else {
            return Some(0);
        };
        let last = self.store(&page)?;
        let through = match self.fetches % 3 {
            // Everything that was not acknowledged must come again.
            0 => return Some(page.messages.len()),
            1 => page.messages[0].seq.midpoint(last),
            _ => last,
        };
        let request = AcknowledgeMessagesRequest::Through(AcknowledgeThrough {
            through,
            chain: self.chains[&through].to_string(),
        });
        self.asked = self.asked.max(through);
        let asked = self.http.acknowledge_messages(&self.messaging, &request);
        match asked.await {
            Ok(_) => self.acknowledged = through,
            Err(error) => assert!(
                !is_final(&error),
                "the server refuses an acknowledgement: {error}"
            ),
        }
        Some(page.messages.len())
    }

    /// A queue starts with the first message that was not acknowledged.
    fn check_start(&mut self, page: Option<&FetchMessagesResponse>) {
        let first = page.map(|page| page.messages[0].seq);
        let known = self.inbox.messages.len() as u64;
        let start = first.unwrap_or(known + 1);
        if start > self.asked + 1 {
            self.fault(&format!(
                "starts with {start}, but only {} was asked to be let go: deleted without acknowledgement",
                self.asked
            ));
        }
        if first.is_none() && known > self.asked {
            self.fault(&format!(
                "is empty, but message {known} was never acknowledged"
            ));
        }
    }

    /// Takes over what is new and compares what came before. The last message of the page.
    fn store(&mut self, page: &FetchMessagesResponse) -> Option<u64> {
        for delivery in &page.messages {
            let received = Received {
                seq: delivery.seq,
                tag: self.open(delivery),
            };
            if delivery.seq <= self.acknowledged {
                self.fault(&format!(
                    "message {} came back after its acknowledgement",
                    delivery.seq
                ));
            }
            let known = usize::try_from(delivery.seq - 1)
                .ok()
                .and_then(|index| self.inbox.messages.get(index).copied());
            match known {
                None => self.inbox.messages.push(received),
                Some(known) if known != received => {
                    self.fault(&format!("{known:?} became {received:?}"));
                }
                Some(_) => {}
            }
        }
        page.messages.last().map(|delivery| delivery.seq)
    }

    fn open(&mut self, delivery: &Delivery) -> Tag {
        let body = delivery.body.as_deref();
        let Some(body) = body.filter(|body| body.len() >= 16) else {
            self.fault(&format!("message {} has no body", delivery.seq));
            return (usize::MAX, 0);
        };
        let id = delivery.id.parse().expect("a message id");
        let before = self.chains.get(&(delivery.seq - 1)).copied();
        let chain = before.map(|before| extend_chain(before, delivery.seq, id, sha256(body)));
        if chain.map(|chain| chain.to_string()).as_ref() != Some(&delivery.chain) {
            self.fault(&format!("the chain breaks at message {}", delivery.seq));
        }
        self.chains
            .insert(delivery.seq, delivery.chain.parse().expect("a chain value"));
        let number = |range: std::ops::Range<usize>| {
            u64::from_be_bytes(body[range].try_into().expect("8 bytes"))
        };
        (
            usize::try_from(number(0..8)).expect("few senders"),
            number(8..16),
        )
    }

    fn fault(&mut self, fault: &str) {
        self.inbox
            .faults
            .push(format!("queue {}: {fault}", self.inbox.recipient));
    }
}
