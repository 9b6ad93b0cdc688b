//! The facade over the log in memory, through the client of the `eventstore` crate.

use std::sync::Arc;

use eventstore::{
    AppendToStreamOptions, Client, EventData, ExpectedRevision, ReadStreamOptions, StreamPosition,
};
use satpost_event_store::memory::MemoryEventStore;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;

/// A facade of a log in memory; it stops when this is dropped.
struct Served {
    client: Client,
    store: MemoryEventStore,
    address: std::net::SocketAddr,
    task: JoinHandle<Result<(), FacadeError>>,
    stop: DropGuard,
}

async fn serve_with(options: FacadeOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let store = MemoryEventStore::new();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(
        listener,
        Arc::new(store.clone()),
        options,
        stop.clone(),
    ));
    let settings = format!("esdb://{address}?tls=false").parse().unwrap();
    Served {
        client: Client::new(settings).unwrap(),
        store,
        address,
        task,
        stop: stop.drop_guard(),
    }
}

async fn served() -> Served {
    serve_with(FacadeOptions {
        append: true,
        ..FacadeOptions::default()
    })
    .await
}

fn events(count: usize) -> Vec<EventData> {
    (0..count)
        .map(|number| {
            EventData::binary("counted", vec![u8::try_from(number % 251).unwrap()].into())
                .id(uuid::Uuid::from_u128(number as u128 + 1))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_appends_and_reads() {
    let served = served().await;
    let options = AppendToStreamOptions::default().expected_revision(ExpectedRevision::NoStream);
    let written = served
        .client
        .append_to_stream("box-a", &options, events(300))
        .await
        .unwrap();
    assert_eq!(written.next_expected_version, 299);
    assert_eq!(
        (written.position.commit, written.position.prepare),
        (300, 300)
    );

    let forwards = ReadStreamOptions::default().position(StreamPosition::Start);
    let mut read = served.client.read_stream("box-a", &forwards).await.unwrap();
    let mut revisions = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        let event = event.event.unwrap();
        assert_eq!(event.event_type, "counted");
        revisions.push(event.revision);
    }
    assert_eq!(revisions, (0..300).collect::<Vec<_>>());
    drop(served.stop);
    served.task.await.unwrap().unwrap();
}
