//! Connections that break in the middle of something, and servers that are restarted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{PayloadId, Revision};
use satpost_event_store::memory::MemoryEventStore;
use satpost_event_store::{EventStore, NewStoredEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{adapter, any_port, event, serve, stream};

/// A way to a server that breaks when so many bytes have gone through it, back and forth together;
/// 0 means never.
struct Proxy {
    address: SocketAddr,
    breaks_after: Arc<AtomicU64>,
}

impl Proxy {
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(any_port()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let breaks_after = Arc::new(AtomicU64::new(0));
        let left = Arc::clone(&breaks_after);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect(to).await else {
                    continue;
                };
                tokio::spawn(carry(client, server, Arc::clone(&left)));
            }
        });
        Self {
            address,
            breaks_after,
        }
    }
}

/// Carries bytes until one side ends or the way breaks.
async fn carry(mut client: TcpStream, mut server: TcpStream, left: Arc<AtomicU64>) {
    let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
    loop {
        let (from_client, count) = tokio::select! {
            read = client.read(&mut up) => (true, read),
            read = server.read(&mut down) => (false, read),
        };
        let Ok(count @ 1..) = count else { return };
        let before = left.load(Ordering::SeqCst);
        let after = before.saturating_sub(count as u64);
        let breaks = before > 0 && after == 0;
        // What fits before the break still arrives.
        let pass = if breaks { before as usize } else { count };
        left.store(after, Ordering::SeqCst);
        let written = if from_client {
            server.write_all(&up[..pass]).await
        } else {
            client.write_all(&down[..pass]).await
        };
        if written.is_err() || breaks {
            return;
        }
    }
}

/// Repeats an append as the command handler does.
async fn append_at_last(
    log: &dyn EventStore,
    expected: Expected,
    events: &[NewStoredEvent],
    erase: &[PayloadId],
) -> Appended {
    for _ in 0..20 {
        let outcome = log
            .append(&stream("a"), expected, events.to_vec(), erase.to_vec())
            .await;
        match outcome {
            Ok(appended) => return appended,
            Err(LogError::Unknown { .. } | LogError::Unavailable { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it never works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_exactly_once_wherever_the_connection_breaks() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (server, _stop) = serve(Arc::clone(&below), any_port()).await;
    let proxy = Proxy::start(server).await;
    let folder = tempfile::tempdir().unwrap();
    let log = adapter(proxy.address, folder.path());
    let mut expected = Expected::NoStream;
    let payload = |round: u64| PayloadId::new([u8::try_from(round).unwrap(); 16]);
    let rounds = 40;
    for round in 0..rounds {
        // From the first byte of the request to beyond its answer, and into what comes after a
        // new connection.
        proxy
            .breaks_after
            .store(1 + round * 23 % 900, Ordering::SeqCst);
        let mut new = event(round);
        new.payload = Some((payload(round), Arc::from(round.to_le_bytes())));
        let erase: Vec<_> = round.checked_sub(1).map(payload).into_iter().collect();
        let appended = append_at_last(&log, expected, &[new], &erase).await;
        assert_eq!(appended.revision, Revision(round));
        expected = Expected::Exact(appended.revision);
        assert_eq!(
            appended,
            append_at_last(
                &log,
                round
                    .checked_sub(1)
                    .map_or(Expected::NoStream, |last| Expected::Exact(Revision(last))),
                &[event(round)],
                &[],
            )
            .await
        );
    }
    proxy.breaks_after.store(0, Ordering::SeqCst);
    let page = below.read_stream(&stream("a"), Revision(0), 1_000).await;
    let ids: Vec<_> = page.unwrap().events.iter().map(|event| event.id).collect();
    let all: Vec<_> = (0..rounds).map(|round| event(round).id).collect();
    assert_eq!(ids, all);
    for round in 0..rounds {
        let found = log.payload(payload(round)).await.unwrap();
        let alive = (round == rounds - 1).then(|| round.to_le_bytes().to_vec());
        assert_eq!(found, alive, "payload {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gives_the_same_answer_after_the_server_was_restarted_in_the_middle() {
    let below: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let (address, mut stop) = serve(Arc::clone(&below), any_port()).await;
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(adapter(address, folder.path()));
    let writer = {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut expected = Expected::NoStream;
            let mut answers = Vec::new();
            for number in 0..200 {
                let appended = append_at_last(&*log, expected, &[event(number)], &[]).await;
                answers.push((expected, appended));
                expected = Expected::Exact(appended.revision);
            }
            answers
        })
    };
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stop.cancel();
        // The port is free once the server has let go of it.
        stop = loop {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if let Ok(listener) = std::net::TcpListener::bind(address) {
                drop(listener);
                break serve(Arc::clone(&below), address).await.1;
            }
        };
    }
    let answers = writer.await.unwrap();
    for (number, (expected, appended)) in (0..).zip(answers) {
        assert_eq!(appended.revision, Revision(number));
        let repeated = append_at_last(&*log, expected, &[event(number)], &[]).await;
        assert_eq!(repeated, appended);
    }
}
