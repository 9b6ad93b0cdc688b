//! A device that fetches, sets aside and lets go, beside another one that does the same.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, AcknowledgeParked, AcknowledgeThrough,
    DeletionScope, ParkMessages, ParkedMessage, QueueResponse, deletion_receipt_bytes, head_bytes,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::MessagingKey;
use satpost_domain::hash::sha256;
use satpost_domain::ids::ChainHash;
use satpost_tests::random::Random;
use satpost_tests::signed_request::{Request, RequestKey};
use serde::Deserialize;

use super::connection::{Connection, dice};
use super::history::{Delivered, Fetch, History, Part, Said, Settle};
use super::sender::tag;

/// The most messages a device asks for at once.
const PAGE_MAX: usize = 40;

/// What of an answer a device looks at.
#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    more: bool,
    head: Head,
}

#[derive(Deserialize)]
struct Message {
    seq: u64,
    id: String,
    chain: String,
    digest: String,
    body: String,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    chain: String,
    signature: String,
}

pub(super) struct Device {
    connection: Arc<Connection>,
    queue: Arc<RequestKey>,
    dice: Random,
    history: History,
}

impl Device {
    pub(super) fn new(
        connection: &Arc<Connection>,
        queue: &Arc<RequestKey>,
        round: u64,
        number: u64,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            queue: Arc::clone(queue),
            dice: dice(round, 200 + number),
            history: History::new(MessagingKey::new(queue.bytes()).unwrap()),
        }
    }

    /// Reads until told to stop.
    pub(super) async fn read(mut self) -> History {
        while !self.connection.is_stopped() {
            if self.dice.one_in(8) {
                let parked = self.fetch(Part::Parked, PAGE_MAX).await;
                if !parked.is_empty() && !self.dice.one_in(4) {
                    let count = 1 + self.dice.below(parked.len());
                    self.done_with(&parked[..count]).await;
                }
                continue;
            }
            let limit = 1 + self.dice.below(PAGE_MAX);
            let line = self.fetch(Part::Line, limit).await;
            if line.is_empty() {
                self.connection.pause().await;
            } else if self.dice.one_in(4) {
                let place = self.dice.below(line.len());
                self.park(&line[place]).await;
            } else if !self.dice.one_in(4) {
                let place = self.dice.below(line.len());
                self.acknowledge(&line[place]).await;
            }
        }
        self.history
    }

    /// Reads and lets go of everything, and looks whether the server says the same.
    pub(super) async fn drain(mut self) -> History {
        loop {
            let line = self.fetch(Part::Line, PAGE_MAX).await;
            let Some(last) = line.last() else {
                break;
            };
            self.acknowledge(last).await;
        }
        loop {
            let parked = self.fetch(Part::Parked, PAGE_MAX).await;
            if parked.is_empty() {
                break;
            }
            self.done_with(&parked).await;
        }
        let key = Arc::clone(&self.queue);
        let request = Request::query("/v1/queue", &key)
            .header("satpost-min-position", self.connection.seen());
        let (_, answer) = self.connection.ask_until_known(&request).await;
        let queue: QueueResponse = answer.expect(200);
        if (queue.messages, queue.bytes, queue.parked) != (0, 0, 0) {
            self.notice(format!("a queue that is drained is {queue:?}"));
        }
        self.history
    }

    /// Fetches what everybody knows of by now.
    async fn fetch(&mut self, part: Part, limit: usize) -> Vec<Delivered> {
        let key = Arc::clone(&self.queue);
        let parked = if part == Part::Parked {
            "&parked=true"
        } else {
            ""
        };
        let path = format!("/v1/messages?limit={limit}{parked}");
        let waits = part == Part::Line && self.dice.one_in(4);
        // The last attempt is the one that is answered: what came before has changed nothing.
        let (asked, answered, answer) = loop {
            // Before it is asked what everybody knows: that must be in the answer.
            let asked = self.connection.now();
            let mut request =
                Request::query(&path, &key).header("satpost-min-position", self.connection.seen());
            if waits {
                request = request.header("prefer", "wait=1");
            }
            if let (span, Some(answer)) = self.connection.ask(&request).await {
                break (asked, span.answered.expect("it is answered"), answer);
            }
            self.connection.pause().await;
        };
        if answer.status.as_u16() == 204 {
            return Vec::new();
        }
        let page: Page = answer.expect(200);
        let messages: Vec<_> = page.messages.iter().map(|given| self.take(given)).collect();
        let chain: ChainHash = page.head.chain.parse().unwrap();
        let signed = head_bytes(&self.queue.bytes(), page.head.seq, chain.as_bytes());
        if !self.connection.holds(&signed, &page.head.signature) {
            self.notice(format!("the head at {} does not hold", page.head.seq));
        }
        self.history.fetches.push(Fetch {
            part,
            asked,
            answered,
            messages: messages.clone(),
            is_whole: !page.more,
            head: (page.head.seq, chain),
        });
        messages
    }

    fn take(&mut self, given: &Message) -> Delivered {
        let body = STANDARD.decode(&given.body).unwrap();
        let digest = given.digest.parse().unwrap();
        if sha256(&body) != digest {
            self.notice(format!("the body at {} is another one", given.seq));
        }
        Delivered {
            seq: given.seq,
            id: given.id.parse().unwrap(),
            tag: tag(&body).unwrap(),
            digest,
            chain: given.chain.parse().unwrap(),
        }
    }

    async fn acknowledge(&mut self, last: &Delivered) {
        let request = AcknowledgeMessagesRequest::Through(AcknowledgeThrough {
            through: last.seq,
            chain: last.chain.to_string(),
        });
        self.settle(Said::Through(last.seq), &request).await;
    }

    async fn park(&mut self, message: &Delivered) {
        let parked = ParkedMessage {
            id: message.id.to_string(),
            reason: "other".to_owned(),
        };
        let park = vec![parked];
        let request = AcknowledgeMessagesRequest::Park(ParkMessages { park });
        self.settle(Said::Park(vec![message.id]), &request).await;
    }

    async fn done_with(&mut self, messages: &[Delivered]) {
        let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
        let parked = ids.iter().map(ToString::to_string).collect();
        let request = AcknowledgeMessagesRequest::Parked(AcknowledgeParked { parked });
        self.settle(Said::Done(ids), &request).await;
    }

    async fn settle(&mut self, said: Said, body: &AcknowledgeMessagesRequest) {
        let key = Arc::clone(&self.queue);
        let request = Request::command(Method::POST, "/v1/messages/ack", &key).json(body);
        let (span, answer) = self.connection.ask_until_known(&request).await;
        let mut settle = Settle {
            said,
            span,
            deleted: 0,
            is_done: answer.status.is_success(),
        };
        if settle.is_done {
            let done: AcknowledgeMessagesResponse = answer.expect(200);
            settle.deleted = done.deleted;
            self.check_receipt(body, &done);
            if done.deleted > 0 && self.dice.one_in(4) {
                let (_, again) = self.connection.ask_until_known(&request).await;
                let again: AcknowledgeMessagesResponse = again.expect(200);
                if again != done {
                    self.notice(format!(
                        "{body:?} was answered with {done:?}, then {again:?}"
                    ));
                }
            }
        } else {
            // The other device was faster. Nothing else is a reason to refuse what was delivered.
            let problem = answer.expect_problem(Code::UnknownMessage);
            if matches!(settle.said, Said::Through(_)) {
                self.notice(format!("{body:?} is refused: {problem:?}"));
            }
        }
        self.history.settles.push(settle);
    }

    fn check_receipt(
        &mut self,
        body: &AcknowledgeMessagesRequest,
        done: &AcknowledgeMessagesResponse,
    ) {
        let scope = DeletionScope::of(body);
        let holds = match (&scope, done.at, &done.receipt) {
            (Some(scope), Some(at), Some(receipt)) => {
                let signed = deletion_receipt_bytes(&self.queue.bytes(), scope, done.deleted, at);
                self.connection.holds(&signed, receipt)
            }
            (_, None, None) => done.deleted == 0,
            _ => false,
        };
        if !holds {
            self.notice(format!("no receipt holds for {body:?}: {done:?}"));
        }
    }

    fn notice(&mut self, noticed: String) {
        self.history.noticed.push(noticed);
    }
}
