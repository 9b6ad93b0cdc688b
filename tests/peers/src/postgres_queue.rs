//! Queues of messages on PostgreSQL, as SimpleX keeps them: one table, and a statement each to send,
//! to take the oldest, and to delete what was acknowledged. Durable with every statement.
//!
//! What makes it easier for it: it checks no signature and speaks no HTTP, `seq` comes from one
//! sequence and so has gaps, and a recipient hears of new messages in this process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rustix::process::Signal;
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::{Answer, Contender, Running, Writer};
use satpost_infra::bench::messages::RECIPIENTS;
use satpost_infra::bench::messages::tickets::Tickets;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::postgres::{Postgres, connect, failed};
use crate::server::Server;

const TABLE: &str = "
CREATE TABLE messages (
    queue text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    id uuid NOT NULL,
    body bytea NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (queue, seq)
)";

const SEND: &str = "
INSERT INTO messages (queue, id, body, expires) VALUES ($1, $2, $3, now() + interval '14 days')";

const TAKE: &str = "SELECT seq, body FROM messages WHERE queue = $1 ORDER BY seq LIMIT 1";

const FORGET: &str = "DELETE FROM messages WHERE queue = $1 AND seq = $2";

/// Its queues, as senders see them.
pub(crate) struct SendToPostgres(pub(crate) Postgres);

/// Its queues, with recipients that take and delete.
pub(crate) struct CycleOnPostgres(pub(crate) Postgres);

#[async_trait]
impl Contender for SendToPostgres {
    fn name(&self) -> &'static str {
        "send to a table of postgresql"
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        Ok(Box::new(RunningSends(self.0.serve(folder, TABLE).await?)))
    }
}

struct RunningSends(Server);

#[async_trait]
impl Running for RunningSends {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        Ok(Box::new(Sender::connect(self.0.port).await?))
    }

    fn server(&self) -> Option<u32> {
        Some(self.0.id())
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        self.0.stop(Signal::INT).await
    }
}

/// A connection that sends.
struct Sender {
    client: Client,
    send: Statement,
}

impl Sender {
    async fn connect(port: u16) -> Result<Self, BenchError> {
        let client = connect(port).await.map_err(failed)?;
        let send = client.prepare(SEND).await.map_err(failed)?;
        Ok(Self { client, send })
    }

    async fn send(&self, queue: &str, id: [u8; 16], body: Vec<u8>) -> Result<(), BenchError> {
        let id = Uuid::from_bytes(id);
        let values: [&(dyn ToSql + Sync); 3] = [&queue, &id, &body];
        let sent = self.client.execute(&self.send, &values).await;
        sent.map(drop).map_err(failed)
    }
}

#[async_trait]
impl Writer for Sender {
    async fn append(
        &mut self,
        stream: &str,
        _expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        self.send(stream, id, body).await?;
        Ok(Answer::Appended)
    }
}

#[async_trait]
impl Contender for CycleOnPostgres {
    fn name(&self) -> &'static str {
        "send, deliver, delete on postgresql"
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let server = self.0.serve(folder, TABLE).await?;
        let tickets = Tickets::default();
        let (mut queues, mut recipients) = (Vec::new(), JoinSet::new());
        for number in 0..RECIPIENTS {
            let queue = Arc::new(Queue {
                name: format!("queue-{number}"),
                news: Notify::new(),
            });
            let recipient = Recipient::connect(server.port, &queue, &tickets).await?;
            recipients.spawn(recipient.run());
            queues.push(queue);
        }
        Ok(Box::new(RunningCycle {
            server,
            tickets,
            queues,
            recipients,
            writers: AtomicUsize::new(0),
        }))
    }
}

/// A queue, and who waits for it.
struct Queue {
    name: String,
    news: Notify,
}

struct RunningCycle {
    server: Server,
    tickets: Tickets,
    queues: Vec<Arc<Queue>>,
    recipients: JoinSet<()>,
    writers: AtomicUsize,
}

#[async_trait]
impl Running for RunningCycle {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let number = self.writers.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CycleSender {
            sender: Sender::connect(self.server.port).await?,
            queue: Arc::clone(&self.queues[number % RECIPIENTS]),
            tickets: self.tickets.clone(),
        }))
    }

    fn server(&self) -> Option<u32> {
        Some(self.server.id())
    }

    async fn stop(mut self: Box<Self>) -> Result<(), BenchError> {
        self.recipients.shutdown().await;
        self.server.stop(Signal::INT).await
    }
}

struct CycleSender {
    sender: Sender,
    queue: Arc<Queue>,
    tickets: Tickets,
}

#[async_trait]
impl Writer for CycleSender {
    async fn append(
        &mut self,
        _stream: &str,
        _expected: Option<u64>,
        id: [u8; 16],
        mut body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let ticket = self.tickets.take(&mut body);
        self.sender.send(&self.queue.name, id, body).await?;
        self.queue.news.notify_one();
        ticket.acknowledged().await?;
        Ok(Answer::Appended)
    }
}

/// A connection that takes one message after another and deletes it.
struct Recipient {
    client: Client,
    take: Statement,
    forget: Statement,
    queue: Arc<Queue>,
    tickets: Tickets,
}

impl Recipient {
    async fn connect(port: u16, queue: &Arc<Queue>, tickets: &Tickets) -> Result<Self, BenchError> {
        let client = connect(port).await.map_err(failed)?;
        Ok(Self {
            take: client.prepare(TAKE).await.map_err(failed)?,
            forget: client.prepare(FORGET).await.map_err(failed)?,
            client,
            queue: Arc::clone(queue),
            tickets: tickets.clone(),
        })
    }

    async fn run(self) {
        loop {
            match self.turn().await {
                Ok(true) => {}
                Ok(false) => self.queue.news.notified().await,
                Err(error) => return self.tickets.fail(&error),
            }
        }
    }

    /// False when nothing waits.
    async fn turn(&self) -> Result<bool, BenchError> {
        let queue = &self.queue.name;
        let oldest = self.client.query_opt(&self.take, &[queue]).await;
        let Some(oldest) = oldest.map_err(failed)? else {
            return Ok(false);
        };
        let (seq, body): (i64, Vec<u8>) = (oldest.get(0), oldest.get(1));
        let deleted = self.client.execute(&self.forget, &[queue, &seq]).await;
        deleted.map_err(failed)?;
        self.tickets.done(&body)?;
        Ok(true)
    }
}
