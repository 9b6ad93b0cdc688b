//! How much memory a client, an idle queue, a pending message and a connection that waits take: by how
//! much this process grows when there are very many of them.
//!
//! It runs first: what was freed before would be used again, and not be seen. Clients, queues and
//! messages are applied to the projections as events. Connections are held by the server.

use satpost_domain::{Envelope, Event, StreamId};
use satpost_projections::mailbox_queue::MailboxQueue;
use satpost_projections::{Projection as _, ReadModel};

use super::client::Client;
use super::history::Person;
use super::server::BenchServer;
use crate::bench::BenchError;
use crate::bench::bench_folder::{self, BenchFolder};
use crate::bench::cost::resident_bytes;
use crate::bench::report::{Report, Steps};

/// How many events are applied at a time, as the server does.
const BATCH: usize = 512;
/// How many connections there are, and how many of them are there before anything is measured.
const CONNECTIONS: usize = 1_100;
const CONNECTIONS_BEFORE: usize = 100;
/// How long it may take until all of them wait.
const LOOKS_MAX: u32 = 500;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// How many there are.
#[derive(Clone, Copy)]
pub(super) struct Population {
    pub(super) queues: u64,
    pub(super) messages_per_queue: u64,
}

pub(super) async fn run(
    population: Population,
    folder: &mut BenchFolder,
    steps: &Steps,
    report: &mut Report,
) -> Result<(), BenchError> {
    steps.begin("memory of queues and messages");
    projections(population, report);
    steps.done();
    steps.begin("memory of connections");
    let run = folder.fresh()?;
    let server = BenchServer::start(&run).await?;
    connections(&server, report).await?;
    server.stop().await?;
    bench_folder::discard(&run)?;
    steps.done();
    Ok(())
}

/// The queues alone, which is what more queues and messages cost, and then all that the server knows of
/// clients that have done nothing but register and receive.
fn projections(population: Population, report: &mut Report) {
    let each = population.queues as f64;
    let message = each * population.messages_per_queue as f64;
    let mut alone = MailboxQueue::default();
    let mut growth = Growth::of(population, |events| {
        events.iter().for_each(|event| alone.apply(event));
    });
    let case = "memory of queues";
    let grown = growth.when(Person::opens);
    report.figure(case, "idle queue", grown / each, "bytes");
    let grown = growth.when(Person::receives);
    report.figure(case, "pending message", grown / message, "bytes");

    let all = ReadModel::new();
    let mut growth = Growth::of(population, |events| all.apply_all(events));
    let case = "memory of all projections";
    let grown = growth.when(Person::registers) + growth.when(Person::opens);
    report.figure(case, "registered client", grown / each, "bytes");
    let grown = growth.when(Person::receives);
    report.figure(case, "pending message", grown / message, "bytes");
    // What is freed before would be used again.
    drop(alone);
}

/// By how many bytes the process grows when events are applied.
struct Growth<A> {
    population: Population,
    apply: A,
    events: u64,
}

impl<A: FnMut(&[Envelope])> Growth<A> {
    const fn of(population: Population, apply: A) -> Self {
        Self {
            population,
            apply,
            events: 0,
        }
    }

    /// When this has happened to everybody, each with so many messages.
    fn when(&mut self, happening: impl Fn(&Person, u64) -> (StreamId, Vec<Event>)) -> f64 {
        let before = resident_bytes();
        let mut batch = Vec::with_capacity(BATCH);
        for person in (0..self.population.queues).map(Person::new) {
            let (stream, events) = happening(&person, self.population.messages_per_queue);
            for event in events {
                self.events += 1;
                batch.push(person.envelope(&stream, self.events, event));
            }
            if batch.len() >= BATCH {
                (self.apply)(&batch);
                batch.clear();
            }
        }
        (self.apply)(&batch);
        resident_bytes() - before
    }
}

/// Connections of clients, each with a fetch that waits. The other ends of them are in this
/// process, too, and count.
async fn connections(server: &BenchServer, report: &mut Report) -> Result<(), BenchError> {
    let mut registrar = Client::connect(server, 0).await?;
    let mut mailboxes = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        mailboxes.push(registrar.register().await?);
    }
    let (mut waiting, mut before) = (Vec::with_capacity(CONNECTIONS), 0.0);
    for (number, mailbox) in mailboxes.iter().enumerate() {
        if number == CONNECTIONS_BEFORE {
            until_waiting(server, number).await?;
            before = resident_bytes();
        }
        let mut client = Client::connect(server, number + 1).await?;
        client.begin_to_wait(mailbox).await?;
        waiting.push(client);
    }
    until_waiting(server, CONNECTIONS).await?;
    let grown = resident_bytes() - before;
    let each = grown / (CONNECTIONS - CONNECTIONS_BEFORE) as f64;
    report.figure("memory", "waiting connection", each, "bytes");
    Ok(())
}

async fn until_waiting(server: &BenchServer, count: usize) -> Result<(), BenchError> {
    for _ in 0..LOOKS_MAX {
        if server.waiting().await? >= count as u64 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(BenchError::of("the server")(
        "it does not keep fetches waiting",
    ))
}
