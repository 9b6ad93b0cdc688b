//! What the crate cannot bear, one test each. Most of them run on one thread: a loop that does not
//! wait would hang them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use satpost_commands::ports::{Expected, LogError};
use satpost_domain::{Position, Revision};
use satpost_event_store::memory::MemoryEventStore;
use satpost_event_store::{EventStore, Filter, StoredItem};
use tonic::{Code, Status};

use super::fake_cluster::{self, Asked, Told, checkpoint, event_at};
use super::{adapter, adapter_to, any_port, event, serve, stream};

fn reason(error: LogError) -> String {
    match error {
        LogError::Unavailable { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn appends_in_batch_sessions_only() {
    let (address, seen) = fake_cluster::start(|_| Ok(None)).await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(address, folder.path());
    let mut expected = Expected::NoStream;
    for number in 0..20 {
        let appended = log
            .append(&stream("a"), expected, vec![event(number)], vec![])
            .await
            .unwrap();
        assert_eq!(appended.revision, Revision(number));
        expected = Expected::Exact(appended.revision);
    }
    assert_eq!(seen.batch_appends.load(Ordering::SeqCst), 20);
    assert_eq!(seen.plain_appends.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_conflict_costs_nobody_else_an_append() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (address, _stop) = serve(Arc::clone(&below), any_port()).await;
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(adapter(address, folder.path()));
    let contended = stream("contended");
    log.append(&contended, Expected::NoStream, vec![event(0)], vec![])
        .await
        .unwrap();
    let mut writers = Vec::new();
    for writer in 0..32_u64 {
        let log = Arc::clone(&log);
        writers.push(tokio::spawn(async move {
            let stream = stream(&format!("quiet{writer}"));
            let mut expected = Expected::NoStream;
            for number in 0..20 {
                let new = vec![event(1_000 + writer * 100 + number)];
                let appended = log.append(&stream, expected, new, vec![]).await.unwrap();
                expected = Expected::Exact(appended.revision);
            }
        }));
    }
    // Another process is faster every time, so the server has to refuse every append here.
    for round in 0..20 {
        let exact = Expected::Exact(Revision(2 * round));
        below
            .append(&contended, exact, vec![event(100 + 2 * round)], vec![])
            .await
            .unwrap();
        let refused = log
            .append(&contended, exact, vec![event(101 + 2 * round)], vec![])
            .await;
        let actual = Some(Revision(2 * round + 1));
        assert_eq!(refused, Err(LogError::Conflict { actual }));
        let next = Expected::Exact(Revision(2 * round + 1));
        log.append(&contended, next, vec![event(101 + 2 * round)], vec![])
            .await
            .unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn works_once_a_server_is_there_that_was_not_at_the_start() {
    let listener = std::net::TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(address, folder.path());
    let first = log
        .append(&stream("a"), Expected::NoStream, vec![event(1)], vec![])
        .await;
    assert!(reason(first.unwrap_err()).contains(&address.to_string()));
    let (_, _stop) = serve(Arc::new(MemoryEventStore::new()), address).await;
    log.append(&stream("a"), Expected::NoStream, vec![event(1)], vec![])
        .await
        .unwrap();
    let page = log.read_stream(&stream("a"), Revision(0), 10).await;
    assert_eq!(page.unwrap().events.len(), 1);
}

#[tokio::test]
async fn follows_on_from_its_own_checkpoint_when_the_server_ends_subscriptions() {
    let froms = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&froms);
    let (address, seen) = fake_cluster::start(move |request| {
        let Asked::Subscribe { from, time } = request else {
            return Ok(None);
        };
        asked.lock().unwrap().push(from);
        let (contents, ends) = match time {
            1 => (vec![event_at("mailbox-a", 0, 10), checkpoint(50)], true),
            // The event comes again, which must not be seen.
            2 => (
                vec![event_at("mailbox-a", 0, 10), event_at("mailbox-a", 1, 60)],
                true,
            ),
            3 | 4 => (vec![], true),
            _ => (vec![event_at("mailbox-a", 2, 70)], false),
        };
        Ok(Some(Told { contents, ends }))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(address, folder.path());
    let mut items = log.follow(Position::START, Filter::all());
    let mut met = Vec::new();
    while met.len() < 5 {
        let next = tokio::time::timeout(Duration::from_secs(20), items.next()).await;
        met.push(match next.unwrap().unwrap().unwrap() {
            StoredItem::Event(event) => ("event", event.position.major()),
            StoredItem::CheckpointAt(position) => ("checkpoint", position.major()),
            StoredItem::CaughtUp => ("caught up", 0),
        });
    }
    let expected = [
        ("caught up", 0),
        ("event", 10),
        ("checkpoint", 50),
        ("event", 60),
        ("event", 70),
    ];
    assert_eq!(met, expected);
    // What was silent is not made anew, and what has ended is not asked for without a pause.
    assert!(items.next().now_or_never_quietly().await);
    assert_eq!(seen.subscriptions.load(Ordering::SeqCst), 5);
}

/// Waits a little and tells whether nothing came.
trait Quiet: Future + Sized {
    async fn now_or_never_quietly(self) -> bool {
        tokio::time::timeout(Duration::from_millis(200), self)
            .await
            .is_err()
    }
}

impl<F: Future> Quiet for F {}

#[tokio::test]
async fn tells_that_credentials_are_refused_and_shows_none() {
    for code in [Code::Unauthenticated, Code::PermissionDenied] {
        let (address, _) = fake_cluster::start(move |_| Err(Status::new(code, "no"))).await;
        let folder = tempfile::tempdir().unwrap();
        let connection = format!("esdb://admin:hush@{address}?tls=false");
        let log = adapter_to(&connection, folder.path());
        let outcome = log
            .append(&stream("a"), Expected::NoStream, vec![event(1)], vec![])
            .await;
        let text = reason(outcome.unwrap_err());
        assert!(text.contains("refuses our credentials"), "{text}");
        assert!(!text.contains("hush") && !text.contains("admin"), "{text}");
        let text = reason(log.head().await.unwrap_err());
        assert!(text.contains("refuses our credentials"), "{text}");
        let followed = log.follow(Position::START, Filter::all()).next().await;
        assert!(followed.unwrap().is_err());
    }
}

#[tokio::test]
async fn goes_to_the_leader_that_is_named() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (leader, _stop) = serve(below, any_port()).await;
    let (follower, _) = fake_cluster::start(move |_| {
        let mut status = Status::not_found("not the leader");
        let metadata = status.metadata_mut();
        metadata.insert("exception", "not-leader".parse().unwrap());
        metadata.insert("leader-endpoint-host", "127.0.0.1".parse().unwrap());
        let port = leader.port().to_string();
        metadata.insert("leader-endpoint-port", port.parse().unwrap());
        Err(status)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(follower, folder.path());
    log.append(&stream("a"), Expected::NoStream, vec![event(1)], vec![])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cluster_without_a_leader_is_unavailable() {
    let (address, _) =
        fake_cluster::start(|_| Err(Status::unavailable("Server Is Not Ready"))).await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(address, folder.path());
    let text = reason(log.head().await.unwrap_err());
    assert!(text.contains("Server Is Not Ready"), "{text}");
}

#[tokio::test]
async fn refuses_streams_that_are_not_whole() {
    let (address, _) = fake_cluster::start(|request| {
        let contents = match request {
            Asked::Stream(name) if name == "mailbox-truncated" => {
                vec![event_at(&name, 5, 50), event_at(&name, 6, 60)]
            }
            Asked::Stream(name) if name == "mailbox-holed" => {
                vec![event_at(&name, 0, 50), event_at(&name, 2, 60)]
            }
            Asked::Stream(name) if name == "mailbox-deleted" => {
                let mut status = Status::failed_precondition("deleted");
                let metadata = status.metadata_mut();
                metadata.insert("exception", "stream-deleted".parse().unwrap());
                return Err(status);
            }
            _ => return Ok(None),
        };
        Ok(Some(Told {
            contents,
            ends: true,
        }))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(address, folder.path());
    for (name, word) in [
        ("truncated", "truncated"),
        ("holed", "hole"),
        ("deleted", "deleted"),
    ] {
        let read = log.read_stream(&stream(name), Revision(0), 10).await;
        let Err(LogError::Fatal { reason }) = read else {
            panic!("{name}: {read:?}");
        };
        assert!(reason.contains(word), "{reason}");
    }
}

#[tokio::test]
async fn the_facade_answers_reads_without_a_delayed_acknowledgement() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (address, _stop) = serve(below, any_port()).await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(address, folder.path());
    log.ready().await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..21 {
        let began = tokio::time::Instant::now();
        let page = log.read_stream(&stream("a"), Revision(0), 1).await.unwrap();
        assert!(page.events.is_empty());
        waits.push(began.elapsed());
    }
    waits.sort_unstable();
    // The crate sends a read in two parts; Linux delays an acknowledgement for 40 ms at least.
    assert!(waits[10] < Duration::from_millis(35), "{waits:?}");
}
