//! The facade over the log in memory, through the client of the `eventstore` crate; and through raw
//! messages where that client cannot say what is to be said.

mod appends;
mod batches;
mod reads;
mod subscriptions;

use std::net::SocketAddr;
use std::sync::Arc;

use eventstore::{
    AppendToStreamOptions, Client, EventData, ExpectedRevision, ReadStream, RecordedEvent,
    StreamPosition, WriteResult,
};
use satpost_event_store::memory::MemoryEventStore;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{FacadeError, FacadeOptions, serve};

/// A facade of a log in memory; it stops when this is dropped.
struct Served {
    client: Client,
    store: MemoryEventStore,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), FacadeError>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve_with(options: FacadeOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let store = MemoryEventStore::new();
    let stop = CancellationToken::new();
    let serving = serve(listener, Arc::new(store.clone()), options, stop.clone());
    let task = tokio::spawn(serving);
    let settings = format!("esdb://{address}?tls=false").parse().unwrap();
    Served {
        client: Client::new(settings).unwrap(),
        store,
        address,
        stop,
        task,
    }
}

async fn served() -> Served {
    let options = FacadeOptions {
        append: true,
        ..FacadeOptions::default()
    };
    serve_with(options).await
}

impl Served {
    async fn append(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<EventData>,
    ) -> eventstore::Result<WriteResult> {
        let options = AppendToStreamOptions::default().expected_revision(expected);
        self.client.append_to_stream(stream, &options, events).await
    }

    /// Appends `count` events to a new stream.
    async fn fill(&self, stream: &str, count: u64) {
        let events = (0..count).map(counted).collect();
        self.append(stream, ExpectedRevision::NoStream, events)
            .await
            .unwrap();
    }
}

/// An event that says which number it has.
fn counted(number: u64) -> EventData {
    EventData::binary("counted", number.to_be_bytes().to_vec().into())
        .id(Uuid::from_u128(u128::from(number) + 1))
}

fn number(event: &RecordedEvent) -> u64 {
    u64::from_be_bytes(event.data[..].try_into().unwrap())
}

async fn all(mut read: ReadStream) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        events.push(event.event.unwrap());
    }
    events
}

async fn numbers(read: ReadStream) -> Vec<u64> {
    all(read).await.iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_when_it_is_asked_to_although_a_client_is_connected() {
    let mut served = served().await;
    served.fill("box-a", 1).await;
    served.stop.cancel();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(4), &mut served.task).await;
    ended.expect("no call keeps it").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_given_a_cluster_finds_the_node_by_gossip() {
    let served = served().await;
    served.fill("box-a", 2).await;
    let settings = format!("esdb+discover://{}?tls=false", served.address);
    let client = Client::new(settings.parse().unwrap()).unwrap();
    let from = eventstore::ReadStreamOptions::default().position(StreamPosition::Start);
    let read = client.read_stream("box-a", &from).await.unwrap();
    assert_eq!(numbers(read).await, [0, 1]);
}
