//! Sending over HTTP: each writer on a connection of its own, every request signed, every message
//! durable before its answer.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use satpost_domain::limits::MAILBOX_MESSAGES_MAX;

use super::client::{Client, Mailbox};
use super::server::BenchServer;
use crate::bench::BenchError;
use crate::bench::contender::{Answer, Contender, Running, Writer};

/// What all writers together may send in a round before their queues are full: more than this in
/// the few seconds of a round is beyond one machine.
const MESSAGES_MAX: usize = 200_000;
/// The most queues of one writer: registering them takes its time.
const QUEUES_MAX: usize = 48;

/// The server over HTTP, as senders see it.
pub(super) struct SendOverHttp {
    /// How many queues each writer sends to, in turn. Nobody fetches in between.
    queues: usize,
}

impl SendOverHttp {
    /// For so many writers.
    pub(super) fn new(writers: usize) -> Self {
        let messages = MESSAGES_MAX.div_ceil(writers);
        let queues = messages.div_ceil(MAILBOX_MESSAGES_MAX);
        Self {
            queues: queues.min(QUEUES_MAX),
        }
    }
}

#[async_trait]
impl Contender for SendOverHttp {
    fn name(&self) -> &'static str {
        "send over HTTP"
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        Ok(Box::new(RunningServer {
            server: BenchServer::start(folder).await?,
            queues: self.queues,
            writers: AtomicUsize::new(0),
        }))
    }
}

struct RunningServer {
    server: BenchServer,
    queues: usize,
    writers: AtomicUsize,
}

#[async_trait]
impl Running for RunningServer {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let number = self.writers.fetch_add(1, Ordering::Relaxed);
        let mut client = Client::connect(&self.server, number).await?;
        let mut mailboxes = Vec::with_capacity(self.queues);
        for _ in 0..self.queues {
            mailboxes.push(client.register().await?);
        }
        Ok(Box::new(Sender {
            client,
            mailboxes,
            sent: 0,
        }))
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        self.server.stop().await
    }
}

struct Sender {
    client: Client,
    mailboxes: Vec<Mailbox>,
    sent: usize,
}

#[async_trait]
impl Writer for Sender {
    async fn append(
        &mut self,
        _stream: &str,
        _expected: Option<u64>,
        _id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let to = &self.mailboxes[self.sent % self.mailboxes.len()];
        self.sent += 1;
        self.client.send(&to.identity, &to.path, &body).await?;
        Ok(Answer::Appended)
    }
}
