//! The whole life of a message over HTTP: sent, delivered to a recipient that waits for it, and
//! acknowledged. An append ends when the acknowledgement is durable.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use satpost_api_types::messages::FetchMessagesResponse;
use tokio::task::JoinSet;

use super::client::{Client, Mailbox};
use super::server::BenchServer;
use super::tickets::Tickets;
use crate::bench::BenchError;
use crate::bench::contender::{Answer, Contender, Running, Writer};

/// How many of the connections are those of recipients. Each has as many senders as the others.
pub const RECIPIENTS: usize = 8;

/// The server over HTTP, with recipients that fetch and acknowledge.
pub(super) struct CycleOverHttp;

#[async_trait]
impl Contender for CycleOverHttp {
    fn name(&self) -> &'static str {
        "send, deliver, acknowledge over HTTP"
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let server = BenchServer::start(folder).await?;
        let tickets = Tickets::default();
        let (mut mailboxes, mut recipients) = (Vec::new(), JoinSet::new());
        for number in 0..RECIPIENTS {
            let mut client = Client::connect(&server, number).await?;
            let mailbox = Arc::new(client.register().await?);
            mailboxes.push(Arc::clone(&mailbox));
            let recipient = Recipient {
                client,
                mailbox,
                tickets: tickets.clone(),
                last: 0,
            };
            recipients.spawn(recipient.run());
        }
        Ok(Box::new(RunningCycle {
            server,
            tickets,
            mailboxes,
            recipients,
            writers: AtomicUsize::new(0),
        }))
    }
}

struct RunningCycle {
    server: BenchServer,
    tickets: Tickets,
    mailboxes: Vec<Arc<Mailbox>>,
    recipients: JoinSet<()>,
    writers: AtomicUsize,
}

#[async_trait]
impl Running for RunningCycle {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let number = self.writers.fetch_add(1, Ordering::Relaxed);
        let mut client = Client::connect(&self.server, RECIPIENTS + number).await?;
        let own = client.register().await?;
        Ok(Box::new(Sender {
            client,
            own,
            to: Arc::clone(&self.mailboxes[number % RECIPIENTS]),
            tickets: self.tickets.clone(),
        }))
    }

    async fn stop(mut self: Box<Self>) -> Result<(), BenchError> {
        self.recipients.shutdown().await;
        self.server.stop().await
    }
}

/// Fetches and acknowledges until it is stopped.
struct Recipient {
    client: Client,
    mailbox: Arc<Mailbox>,
    tickets: Tickets,
    /// The last message that came.
    last: u64,
}

impl Recipient {
    async fn run(mut self) {
        loop {
            if let Err(error) = self.turn().await {
                self.tickets.fail(&error);
                return;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), BenchError> {
        let Some(page) = self.client.fetch(&self.mailbox).await? else {
            return Ok(());
        };
        let FetchMessagesResponse { messages, head, .. } = page;
        for message in &messages {
            if message.seq != self.last + 1 {
                let reason = format!("message {} follows {}", message.seq, self.last);
                return Err(BenchError::of("a recipient")(reason));
            }
            self.last = message.seq;
        }
        self.client.acknowledge(&self.mailbox, head).await?;
        messages
            .iter()
            .filter_map(|message| message.body.as_deref())
            .try_for_each(|body| self.tickets.done(body))
    }
}

struct Sender {
    client: Client,
    own: Mailbox,
    to: Arc<Mailbox>,
    tickets: Tickets,
}

#[async_trait]
impl Writer for Sender {
    async fn append(
        &mut self,
        _stream: &str,
        _expected: Option<u64>,
        _id: [u8; 16],
        mut body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let ticket = self.tickets.take(&mut body);
        let sent = self.client.send(&self.own.identity, &self.to.path, &body);
        sent.await?;
        ticket.acknowledged().await?;
        Ok(Answer::Appended)
    }
}
