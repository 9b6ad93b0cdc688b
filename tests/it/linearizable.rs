//! The queue over HTTP, for many at once: several senders that repeat themselves, two devices of one
//! recipient, and a server that is killed and stopped in between. What all of them saw must be one
//! history of a queue. `SATPOST_QUEUE_ROUNDS` plays it more often.

#![allow(
    clippy::disallowed_methods,
    reason = "the number of rounds comes from outside, and the times of a history are real"
)]

mod checker;
mod connection;
mod device;
mod history;
mod sender;

use std::sync::Arc;

use satpost_domain::MessagingKey;
use satpost_tests::process::{ServerProcess, without_rate_limits};
use satpost_tests::signed_request::RequestKey;
use tokio::task::{JoinSet, block_in_place};

use checker::faults;
use connection::Connection;
use device::Device;
use history::History;
use sender::Sender;

/// How many clients write.
const SENDERS: u64 = 4;
/// How many devices read.
const DEVICES: u64 = 2;
/// How often the server is ended, in turns as by a power switch and as asked to.
const ENDS: u64 = 3;
/// How many messages are taken between two ends.
const MESSAGES_PER_LIFE: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_stays_one_for_many_at_once_while_its_server_ends_and_comes_back() {
    let rounds = std::env::var("SATPOST_QUEUE_ROUNDS");
    let rounds = rounds.map_or(1, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        play(round).await;
    }
}

async fn play(round: u64) {
    let folder = tempfile::tempdir().unwrap();
    let flags = without_rate_limits(folder.path());
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &flags);
    let connection = Arc::new(Connection::open(server.api).await);
    let queue = Arc::new(RequestKey::new(1));
    connection.register(&RequestKey::new(0), &queue).await;

    let mut clients = JoinSet::new();
    for number in 0..SENDERS {
        let sender = Sender::register(&connection, &queue, round, number).await;
        clients.spawn(sender.write());
    }
    for number in 0..DEVICES {
        let device = Device::new(&connection, &queue, round, number);
        clients.spawn(device.read());
    }
    for life in 1..=ENDS {
        connection.accepted(life * MESSAGES_PER_LIFE).await;
        block_in_place(|| end_and_start(&mut server, life));
    }
    connection.accepted((ENDS + 1) * MESSAGES_PER_LIFE).await;
    connection.stop();

    let mut history = History::new(MessagingKey::new(queue.bytes()).unwrap());
    while let Some(seen) = clients.join_next().await {
        history.join(seen.unwrap());
    }
    let device = Device::new(&connection, &queue, round, DEVICES);
    history.join(device.drain().await);
    // What is let go does not come back with a start.
    block_in_place(|| end_and_start(&mut server, 0));
    let device = Device::new(&connection, &queue, round, DEVICES);
    history.join(device.drain().await);
    history.is_drained = true;
    assert_eq!(faults(&history), Vec::<String>::new(), "round {round}");
    assert_eq!(block_in_place(|| server.stop()), Some(0));
}

fn end_and_start(server: &mut ServerProcess, life: u64) {
    if life.is_multiple_of(2) {
        assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
    } else {
        server.kill();
    }
    server.start_again();
}
