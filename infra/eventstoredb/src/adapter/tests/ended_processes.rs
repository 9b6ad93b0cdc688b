//! Processes that end in the middle of an append: what they leave behind beside the log is brought
//! in line with it by the next one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{PayloadId, Revision};
use satpost_event_store::memory::MemoryEventStore;
use satpost_event_store::payload_store::{
    LocalPayloadStore, LocalPayloadStoreOptions, PayloadStore,
};
use satpost_event_store::{EventStore, NewStoredEvent};
use tokio::sync::Notify;

use super::super::{ConnectionString, EventStoreDb, EventStoreDbOptions};
use super::{any_port, event, serve, stream};

/// Where in an append the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its payloads are stored, and it is not sent.
    Stored,
    /// It is in the log, and what it erases is not erased.
    Appended,
}

/// Payloads of a process that stands still where it would end, so that its folder can be copied as
/// the next process finds it.
struct EndingStore {
    below: LocalPayloadStore,
    end: Mutex<Option<End>>,
    reached: Notify,
}

impl EndingStore {
    async fn stand_still_at(&self, end: End) {
        let is_here = *self.end.lock().unwrap() == Some(end);
        if is_here {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl PayloadStore for EndingStore {
    async fn store(&self, payloads: Vec<(PayloadId, Arc<[u8]>)>) -> Result<(), LogError> {
        self.below.store(payloads).await?;
        self.stand_still_at(End::Stored).await;
        Ok(())
    }

    async fn erase(&self, ids: Vec<PayloadId>) -> Result<(), LogError> {
        self.stand_still_at(End::Appended).await;
        self.below.erase(ids).await
    }

    async fn read(&self, id: PayloadId) -> Result<Option<Vec<u8>>, LogError> {
        self.below.read(id).await
    }

    async fn alive(&self) -> Result<Vec<PayloadId>, LogError> {
        self.below.alive().await
    }
}

fn payload(number: u64) -> PayloadId {
    let mut id = [3; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    PayloadId::new(id)
}

fn event_with_payload(number: u64) -> NewStoredEvent {
    NewStoredEvent {
        payload: Some((payload(number), number.to_le_bytes().to_vec().into())),
        ..event(number)
    }
}

fn open_payloads(folder: &Path) -> LocalPayloadStore {
    let options = LocalPayloadStoreOptions::new(folder.join("payloads"));
    LocalPayloadStore::open(&options).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&copy).unwrap();
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

async fn alive(payloads: &dyn PayloadStore) -> BTreeSet<PayloadId> {
    payloads.alive().await.unwrap().into_iter().collect()
}

async fn length(log: &dyn EventStore) -> usize {
    let page = log.read_stream(&stream("a"), Revision(0), 100).await;
    page.unwrap().events.len()
}

/// A process appends 0 and 1, and ends while it appends 2, which erases the payload of 1. Answers
/// with the adapter of the next process and its payloads.
async fn next_process_after(
    end: End,
    folders: [&Path; 2],
    below: &Arc<dyn EventStore>,
) -> (EventStoreDb, Arc<LocalPayloadStore>) {
    let (server, _stop) = serve(Arc::clone(below), any_port()).await;
    let options = |folder: &Path| EventStoreDbOptions {
        orphans_after: Duration::from_millis(20),
        ..EventStoreDbOptions::new(
            ConnectionString::parse(&format!("esdb://{server}?tls=false")).unwrap(),
            folder,
        )
    };
    let ending = Arc::new(EndingStore {
        below: open_payloads(folders[0]),
        end: Mutex::new(None),
        reached: Notify::new(),
    });
    let log = EventStoreDb::open(&options(folders[0]), Arc::clone(&ending) as _).unwrap();
    for number in 0..2_u64 {
        let expected = number
            .checked_sub(1)
            .map_or(Expected::NoStream, |last| Expected::Exact(Revision(last)));
        let new = vec![event_with_payload(number)];
        log.append(&stream("a"), expected, new, vec![])
            .await
            .unwrap();
    }
    *ending.end.lock().unwrap() = Some(end);
    let last = tokio::spawn(async move { append_last(&log).await });
    ending.reached.notified().await;
    copy_folder(folders[0], folders[1]);
    last.abort();
    let payloads = Arc::new(open_payloads(folders[1]));
    let found = alive(&*payloads).await;
    assert_eq!(found, [0, 1, 2].map(payload).into(), "{end:?}");
    let log = EventStoreDb::open(&options(folders[1]), Arc::clone(&payloads) as _).unwrap();
    (log, payloads)
}

async fn append_last(log: &EventStoreDb) -> Result<Revision, LogError> {
    let expected = Expected::Exact(Revision(1));
    let new = vec![event_with_payload(2)];
    let appended = log
        .append(&stream("a"), expected, new, vec![payload(1)])
        .await;
    appended.map(|appended| appended.revision)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destroys_payloads_of_an_append_that_was_never_sent() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folders = [first.path(), second.path()];
    let (log, payloads) = next_process_after(End::Stored, folders, &below).await;
    assert_eq!(length(&*below).await, 2);
    log.ready().await.unwrap();
    let gone = async {
        while alive(&*payloads).await != [0, 1].map(payload).into() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(30), gone).await;
    assert!(gone.is_ok(), "the orphan stays");
    // Whoever appended it asks again.
    assert_eq!(append_last(&log).await, Ok(Revision(2)));
    assert_eq!(alive(&*payloads).await, [0, 2].map(payload).into());
    let found = log.payload(payload(2)).await;
    assert_eq!(found, Ok(Some(2_u64.to_le_bytes().to_vec())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_payloads_of_an_append_that_was_not_answered_and_erases_what_it_erases() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folders = [first.path(), second.path()];
    let (log, payloads) = next_process_after(End::Appended, folders, &below).await;
    assert_eq!(length(&*below).await, 3);
    log.ready().await.unwrap();
    assert_eq!(alive(&*payloads).await, [0, 2].map(payload).into());
    assert_eq!(log.inner.destroy_orphans().await, Ok(0));
    assert_eq!(append_last(&log).await, Ok(Revision(2)));
    assert_eq!(alive(&*payloads).await, [0, 2].map(payload).into());
    assert_eq!(length(&*below).await, 3);
}
