//! A client that writes one message after the other, until each is certain, and often more than once.

use std::sync::Arc;

use reqwest::Method;
use satpost_api_types::messages::{SendMessageResponse, receipt_bytes};
use satpost_domain::MessagingKey;
use satpost_domain::hash::sha256;
use satpost_tests::random::Random;
use satpost_tests::signed_request::{Answer, Request, RequestKey};

use super::connection::{Connection, dice};
use super::history::{History, Send, Span, Tag};

/// The smallest size of a message, in bytes.
const BODY_BYTES: usize = 512;

pub(super) struct Sender {
    connection: Arc<Connection>,
    queue: Arc<RequestKey>,
    identity: RequestKey,
    number: u64,
    dice: Random,
    history: History,
}

/// One message, and what was said about it first.
struct Letter<'k> {
    tag: Tag,
    request: Request<'k>,
    receipt: Option<SendMessageResponse>,
}

/// A body that says who has sent it.
fn body(tag: Tag) -> Vec<u8> {
    let mut body = vec![0; BODY_BYTES];
    body[..8].copy_from_slice(&tag.0.to_be_bytes());
    body[8..16].copy_from_slice(&tag.1.to_be_bytes());
    body
}

/// Who has sent a body.
pub(super) fn tag(body: &[u8]) -> Option<Tag> {
    let (sender, rest) = body.split_first_chunk()?;
    let (number, _) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*sender), u64::from_be_bytes(*number)))
}

impl Sender {
    pub(super) async fn register(
        connection: &Arc<Connection>,
        queue: &Arc<RequestKey>,
        round: u64,
        number: u64,
    ) -> Self {
        let identity = RequestKey::new(10 + 2 * number);
        let messaging = RequestKey::new(11 + 2 * number);
        connection.register(&identity, &messaging).await;
        let recipient = MessagingKey::new(queue.bytes());
        Self {
            connection: Arc::clone(connection),
            queue: Arc::clone(queue),
            identity,
            number,
            dice: dice(round, 100 + number),
            history: History::new(recipient.unwrap()),
        }
    }

    /// Writes until told to stop.
    pub(super) async fn write(mut self) -> History {
        let path = format!("/v1/queues/{}/messages", self.queue.hex());
        let identity = std::mem::replace(&mut self.identity, RequestKey::new(0));
        for number in 1.. {
            if self.connection.is_stopped() {
                break;
            }
            let tag = (self.number, number);
            let request = Request::command(Method::POST, &path, &identity);
            let letter = Letter {
                tag,
                request: request.body("application/octet-stream", body(tag)),
                receipt: None,
            };
            self.send(letter).await;
        }
        self.history
    }

    async fn send(&mut self, mut letter: Letter<'_>) {
        while letter.receipt.is_none() {
            if self.dice.one_in(4) {
                // A client that lost its patience, or a network that doubles.
                let ask = || self.connection.ask(&letter.request);
                let (first, second) = tokio::join!(ask(), ask());
                self.note(&mut letter, first);
                self.note(&mut letter, second);
            } else {
                let attempt = self.connection.ask(&letter.request).await;
                self.note(&mut letter, attempt);
            }
            if letter.receipt.is_none() {
                self.connection.pause().await;
            }
        }
        self.connection.note_accepted();
        if self.dice.one_in(6) {
            let again = self.connection.ask(&letter.request).await;
            self.note(&mut letter, again);
        }
    }

    fn note(&mut self, letter: &mut Letter<'_>, (span, answer): (Span, Option<Answer>)) {
        let tag = letter.tag;
        let answer: Option<SendMessageResponse> = answer.map(|answer| answer.expect(201));
        self.history.sends.push(Send {
            tag,
            span,
            id: answer.as_ref().map(|answer| answer.id.parse().unwrap()),
        });
        let Some(answer) = answer else {
            return;
        };
        let first = letter.receipt.get_or_insert_with(|| answer.clone());
        if *first != answer {
            let noticed = format!("{tag:?} was answered with {first:?}, then with {answer:?}");
            self.history.noticed.push(noticed);
        }
        let (queue, digest) = (self.queue.bytes(), sha256(&body(tag)));
        let (accepted_at, expires_at) = (answer.accepted_at, answer.expires_at);
        let signed = receipt_bytes(&queue, digest.as_bytes(), accepted_at, expires_at);
        if !self.connection.holds(&signed, &answer.receipt) {
            let noticed = format!("the receipt for {tag:?} does not hold");
            self.history.noticed.push(noticed);
        }
    }
}
