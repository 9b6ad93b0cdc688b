//! How fast history becomes projections: scanning the log, decoding, applying, all of it together,
//! and what a snapshot saves. Beside each figure stands the step below it in the same run.
//!
//! `cargo bench -p satpost-tests --bench replay -- [--quick] [--json]`

#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures time and reads its own arguments"
)]

use std::hint::black_box;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use satpost_commands::ports::{EventLog as _, Expected, NewEvent};
use satpost_domain::chain::{BlockRef, ChainEvent, OutPoint, Touch};
use satpost_domain::client::ClientEvent;
use satpost_domain::ids::{BlockHash, ChainHash, Digest, Txid};
use satpost_domain::mailbox::{MailboxEvent, SizeBucket};
use satpost_domain::network::Network;
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, CommandId, Envelope, Event, EventId, MessageId, MessagingKey, Metadata, Position,
    PushTargetId, RequestDigest, Revision, Sealed, StreamId, Timestamp, WatchId,
};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore, LogIdentity, RecordedEvent};
use satpost_infra::bench::workload::{short, wide};
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::snapshots::Snapshots;
use satpost_infra::stored_event;
use satpost_projections::{ReadModel, runner};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// What one client leaves in the log, besides the chain.
const SCRIPTS_PER_CLIENT: u64 = 4;
const MESSAGES_PER_CLIENT: u64 = 20;
/// How many transactions touch the scripts of one client; each is seen and then confirmed.
const TRANSACTIONS_PER_CLIENT: u64 = 4;
/// How many streams are appended to at once, so that they share the syncs of the disk.
const APPENDS_AT_ONCE: usize = 256;
/// How many events stand in one append to the chain.
const EVENTS_PER_BLOCK: usize = 500;

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let mut report = Report {
        json: given("--json"),
    };
    let clients = if given("--quick") { 1_000 } else { 20_000 };
    // In the target folder: what is in memory elsewhere is on a disk there.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    report.header()?;
    runtime.block_on(async {
        let options = EmbeddedOptions::new(folder.path().join("log"));
        let store = EmbeddedEventStore::open(&options).map_err(io::Error::other)?;
        let log = StoredEventLog::new(Arc::new(store));
        write_history(&log, clients).await;
        measure(&mut report, &log, clients).await
    })
}

async fn measure(report: &mut Report, log: &StoredEventLog, clients: u64) -> io::Result<()> {
    let (recorded, scan) = scan(log.store().as_ref()).await;
    report.line("scan the log", scan, "events/s", None)?;

    let sealed = recorded
        .iter()
        .filter(|event| stored_event::has_sealed_part(&event.kind, event.schema))
        .count();
    let share = sealed as f64 / recorded.len() as f64;
    report.line("events with a sealed part", share, "share", None)?;

    let start = Instant::now();
    for event in &recorded {
        drop(black_box(stored_event::decode(
            &event.kind,
            event.schema,
            &event.body,
            None,
        )));
    }
    let decode = rate(recorded.len(), start);
    report.line("decode", decode, "events/s", Some(scan))?;

    let envelopes = open_all(log, recorded).await;
    let start = Instant::now();
    let model = ReadModel::new();
    for batch in envelopes.chunks(512) {
        model.apply_all(batch);
    }
    let apply = rate(envelopes.len(), start);
    report.line("apply to all projections", apply, "events/s", Some(decode))?;

    let start = Instant::now();
    let end = model.position();
    let rebuilt = runner::rebuild_all(log, end, |_| {})
        .await
        .map_err(io::Error::other)?;
    let rebuild = rate(envelopes.len(), start);
    assert_eq!(
        rebuilt.digests(),
        model.digests(),
        "a rebuild gives the same"
    );
    report.line("rebuild from the log", rebuild, "events/s", Some(scan))?;

    measure_snapshots(report, &model, envelopes.len(), rebuild)?;
    measure_lookups(report, &model, clients)
}

fn measure_snapshots(
    report: &mut Report,
    model: &ReadModel,
    events: usize,
    rebuild: f64,
) -> io::Result<()> {
    let start = Instant::now();
    let snapshots = model.snapshots();
    report.line(
        "take a snapshot",
        rate(events, start),
        "events/s",
        Some(rebuild),
    )?;
    let bytes: usize = snapshots.iter().map(|snapshot| snapshot.bytes.len()).sum();
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    report.line("size of the snapshot", mebibytes, "MiB", None)?;
    let start = Instant::now();
    let restored = ReadModel::restore_from(&snapshots);
    let restore = rate(events, start);
    assert_eq!(restored.position(), model.position());
    report.line("restore from memory", restore, "events/s", Some(rebuild))?;
    measure_snapshot_file(report, model, events, rebuild)
}

/// What a server does when it stops and when it starts.
fn measure_snapshot_file(
    report: &mut Report,
    model: &ReadModel,
    events: usize,
    rebuild: f64,
) -> io::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (files, log) = (Snapshots::new(folder.path()), LogIdentity([1; 16]));
    let start = Instant::now();
    let path = files
        .save(log, &model.snapshots())
        .map_err(io::Error::other)?;
    let save = rate(events, start);
    report.line("save a snapshot", save, "events/s", Some(rebuild))?;
    let mebibytes = std::fs::metadata(path)?.len() as f64 / f64::from(1 << 20);
    report.line("size of its file", mebibytes, "MiB", None)?;
    let start = Instant::now();
    let restored = files.read().restore(log, model.position());
    let restore = rate(events, start);
    assert_eq!(restored.digests(), model.digests());
    report.line("start from a snapshot", restore, "events/s", Some(rebuild))
}

/// What the watcher asks for every output of every transaction.
fn measure_lookups(report: &mut Report, model: &ReadModel, clients: u64) -> io::Result<()> {
    let count = clients * SCRIPTS_PER_CLIENT;
    let watched: Vec<_> = (0..count).map(script).collect();
    let others: Vec<_> = (count..2 * count).map(script).collect();
    let scripts = model.watched_scripts();
    for (case, asked, hits) in [("watched", &watched, count), ("foreign", &others, 0)] {
        let start = Instant::now();
        let found = asked
            .iter()
            .filter(|script| scripts.lookup(black_box(script.as_bytes())).is_some())
            .count();
        let lookups = rate(asked.len(), start);
        assert_eq!(found as u64, hits);
        report.line(
            &format!("look up a {case} script"),
            lookups,
            "lookups/s",
            None,
        )?;
    }
    Ok(())
}

fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

async fn scan(store: &dyn EventStore) -> (Vec<RecordedEvent>, f64) {
    let start = Instant::now();
    let mut recorded = Vec::new();
    let mut last = Position::START;
    loop {
        let events = store.read_all(last, 1_024).await.expect("the log is whole");
        let Some(end) = events.last() else {
            break;
        };
        last = end.position;
        recorded.extend(events);
    }
    let rate = rate(recorded.len(), start);
    (recorded, rate)
}

async fn open_all(log: &StoredEventLog, recorded: Vec<RecordedEvent>) -> Vec<Envelope> {
    let mut envelopes = Vec::with_capacity(recorded.len());
    for event in recorded {
        let opened = satpost_infra::event_log::open(log.store().as_ref(), event).await;
        envelopes.push(opened.expect("the log is whole"));
    }
    envelopes
}

/// The history of so many clients: what they did, then what the chain did to them.
async fn write_history(log: &StoredEventLog, clients: u64) {
    stream::iter(0..clients)
        .for_each_concurrent(APPENDS_AT_ONCE, |number| write_client(log, number))
        .await;
    let transactions = clients * TRANSACTIONS_PER_CLIENT;
    let events: Vec<_> = (0..transactions)
        .map(|number| transaction(number, false))
        .chain((0..transactions).map(|number| transaction(number, true)))
        .collect();
    append(log, &StreamId::chain(Network::Regtest), events).await;
}

async fn write_client(log: &StoredEventLog, number: u64) {
    let client = ClientId::from_stored(wide(1, number));
    let key = MessagingKey::from_stored(wide(2, number));
    let target = PushTargetId::new(short(3, number));
    let registered = ClientEvent::ClientRegistered {
        client,
        messaging_key: key,
        at: AT,
    };
    let set = ClientEvent::PushTargetSet {
        id: target,
        registration: Sealed::Present(PushRegistration {
            target: PushTarget::web_push(
                format!("https://push.example/{number:032}"),
                [4; 65],
                [5; 16],
            )
            .expect("the endpoint is short"),
            code: VerificationCode::new(short(4, number)),
        }),
        code_digest: Digest::new(wide(5, number)),
        code_expires_at: AT,
        at: AT,
    };
    let verified = ClientEvent::PushTargetVerified { id: target, at: AT };
    let clients = [registered, set, verified].map(Event::from).into();
    append(log, &StreamId::client(client), clients).await;

    let watched = (0..SCRIPTS_PER_CLIENT).map(|index| {
        let number = number * SCRIPTS_PER_CLIENT + index;
        WatchlistEvent::AddressWatched {
            id: WatchId::new(short(6, number)),
            target: Sealed::Present(script(number).into()),
            options: WatchOptions::default(),
            at: AT,
        }
        .into()
    });
    append(log, &StreamId::watchlist(client), watched.collect()).await;
    append(log, &StreamId::mailbox(key), messages(client, key, number)).await;
}

/// Messages of one mailbox, acknowledged ten at a time.
fn messages(owner: ClientId, key: MessagingKey, number: u64) -> Vec<Event> {
    let mut events = vec![MailboxEvent::MailboxOpened { key, owner, at: AT }.into()];
    for seq in 1..=MESSAGES_PER_CLIENT {
        let accepted = MailboxEvent::MessageAccepted {
            seq,
            id: MessageId::new(short(7, number * MESSAGES_PER_CLIENT + seq)),
            size: SizeBucket::of(2_048).expect("it is a bucket"),
            digest: Digest::new(wide(8, seq)),
            chain: ChainHash::new(wide(9, seq)),
            knock: false,
            at: AT,
            expires_at: Timestamp::from_millis(AT.as_millis() + seq),
        };
        events.push(accepted.into());
        if seq % 10 == 0 {
            let acknowledged = MailboxEvent::MessagesAcknowledged {
                through: seq,
                count: 10,
                at: AT,
            };
            events.push(acknowledged.into());
        }
    }
    events
}

/// A payment to one watched script, seen or confirmed.
fn transaction(number: u64, confirmed: bool) -> Event {
    let txid = Txid::new(wide(10, number));
    let touched = script(number * SCRIPTS_PER_CLIENT / TRANSACTIONS_PER_CLIENT);
    let touch = Touch {
        script_hash: touched.hash(),
        received_sat: 50_000,
        spent_sat: 0,
        outputs: vec![(0, 50_000)],
    };
    let inputs = vec![OutPoint {
        txid: Txid::new(wide(11, number)),
        vout: 1,
    }];
    let event = if confirmed {
        let block = BlockRef {
            height: 800_000,
            hash: BlockHash::new([12; 32]),
        };
        ChainEvent::TransactionConfirmed {
            txid,
            touch,
            inputs,
            block,
            index: 1,
            backfilled: false,
        }
    } else {
        ChainEvent::TransactionSeen {
            txid,
            touch,
            inputs,
            incarnation: 1,
            at: AT,
        }
    };
    event.into()
}

async fn append(log: &StoredEventLog, stream: &StreamId, events: Vec<Event>) {
    let mut expected = Expected::NoStream;
    let mut revision = 0_u64;
    for events in events.chunks(EVENTS_PER_BLOCK) {
        let events: Vec<_> = events
            .iter()
            .map(|event| {
                revision += 1;
                new_event(revision, event.clone())
            })
            .collect();
        let appended = log.append(stream, expected, events, Vec::new()).await;
        appended.expect("the disk takes it");
        expected = Expected::Exact(Revision(revision - 1));
    }
}

fn new_event(number: u64, event: Event) -> NewEvent {
    NewEvent {
        id: EventId::new(short(13, number)),
        event,
        metadata: Metadata {
            command_id: CommandId::new(short(14, number)),
            request_digest: RequestDigest::new([15; 16]),
            recorded_at: AT,
        },
        payload: None,
    }
}

/// A pay-to-taproot script of its own for each number.
fn script(number: u64) -> Script {
    let mut bytes = vec![0x51, 0x20];
    bytes.extend_from_slice(&wide(16, number));
    Script::new(&bytes).expect("34 bytes are a script")
}

/// One figure after another.
struct Report {
    json: bool,
}

impl Report {
    fn header(&self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(
            io::stdout(),
            "{:<28} {:>14} {:<10} {:>14} {:>7}",
            "case",
            "value",
            "unit",
            "step below",
            "ratio"
        )
    }

    fn line(
        &mut self,
        case: &str,
        value: f64,
        unit: &str,
        baseline: Option<f64>,
    ) -> io::Result<()> {
        let ratio = baseline.map(|baseline| value / baseline);
        let metric = match unit {
            "events/s" | "lookups/s" => "throughput",
            "MiB" => "size",
            _ => "share",
        };
        let mut out = io::stdout().lock();
        if self.json {
            let object = serde_json::json!({
                "bench": "replay", "case": case, "metric": metric, "value": value, "unit": unit,
                "baseline": baseline, "ratio": ratio,
            });
            return writeln!(out, "{object}");
        }
        let text = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        let digits = if metric == "throughput" { 0 } else { 2 };
        writeln!(
            out,
            "{case:<28} {value:>14.digits$} {unit:<10} {:>14} {:>7}",
            text(baseline, 0),
            text(ratio, 2)
        )
    }
}
