//! The watch list at scale: memory for each script, what a lookup costs the scan of a block, snapshots, and
//! how fast addresses are imported at the handler and over HTTP with the log on a disk. Beside memory and
//! lookups stands a standard hash map of byte strings.
//!
//! `cargo bench -p satpost-tests --bench watchlist -- [--quick | --scripts N] [--json]`

#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures time and reads its own arguments"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use reqwest::Method;
use satpost_api_types::addresses::ImportAddressesResponse;
use satpost_api_types::clients::RegisterClientRequest;
use satpost_commands::import_addresses::import_addresses;
use satpost_commands::{CommandContext, Handler};
use satpost_domain::limits::{IMPORT_LINES_MAX, WATCHED_ADDRESSES_CEILING};
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{
    WatchBounds, WatchOptions, WatchTarget, WatchWish, WatchlistEvent,
};
use satpost_domain::{
    ClientId, CommandId, Envelope, EventId, Metadata, Position, RequestDigest, Revision, Sealed,
    StreamId, Timestamp, WatchId,
};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_projections::Projection as _;
use satpost_projections::push_outbox::PushOutbox;
use satpost_projections::watched_scripts::WatchedScripts;
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::{Request, RequestKey};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// How many scripts the list of one client has; a request brings so many at a time.
const SCRIPTS_PER_CLIENT: u64 = 10_000;
const LOOKUPS: u64 = 4_000_000;

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let place = arguments
        .iter()
        .position(|argument| argument == "--scripts");
    let named = place.and_then(|place| arguments.get(place + 1)?.parse().ok());
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let scripts: u64 = named.unwrap_or(if quick { 100_000 } else { 1_000_000 });
    let report = Report {
        json: arguments.iter().any(|argument| argument == "--json"),
    };
    measure_projection(&report, scripts)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let imported = scripts.min(WATCHED_ADDRESSES_CEILING as u64);
        measure_handler(&report, imported).await?;
        measure_http(&report, imported).await
    })
}

fn measure_projection(report: &Report, scripts: u64) -> io::Result<()> {
    // Both stay until the end: memory that was given back would be counted as free for the other.
    let before = resident_bytes()?;
    let start = Instant::now();
    let mut watched = WatchedScripts::default();
    for number in 0..scripts {
        watched.apply(&watching(number, script(number).into()));
    }
    let apply = scripts as f64 / start.elapsed().as_secs_f64();
    let between = resident_bytes()?;
    let map: HashMap<Vec<u8>, ()> = (0..scripts)
        .map(|number| (script(number).as_bytes().to_vec(), ()))
        .collect();
    let map_bytes = (resident_bytes()? - between) / scripts as f64;
    let bytes = (between - before) / scripts as f64;
    let counted = watched.memory_bytes() as f64 / scripts as f64;
    report.line("apply", apply, "scripts/s", None)?;
    report.line("hash map: memory", map_bytes, "B/script", None)?;
    report.line("memory", bytes, "B/script", Some(map_bytes))?;
    report.line("memory, as counted", counted, "B/script", None)?;
    let outbox = measure_outbox(report, scripts)?;
    let both = bytes + outbox;
    report.line("memory with the push outbox", both, "B/script", None)?;

    let in_map = |script: &[u8]| map.contains_key(script);
    let lookup = |script: &[u8]| watched.lookup(script).is_some();
    let map_hit = nanoseconds(0, scripts, in_map);
    let hit = nanoseconds(0, scripts, lookup);
    report.line("hash map: lookup, watched", map_hit, "ns", None)?;
    report.line("lookup, watched", hit, "ns", Some(map_hit))?;
    let map_miss = nanoseconds(scripts, scripts, in_map);
    let miss = nanoseconds(scripts, scripts, lookup);
    report.line("hash map: lookup, foreign", map_miss, "ns", None)?;
    report.line("lookup, foreign", miss, "ns", Some(map_miss))?;

    let start = Instant::now();
    let snapshot = watched.snapshot();
    report.line("take a snapshot", start.elapsed().as_secs_f64(), "s", None)?;
    let size = snapshot.len() as f64 / scripts as f64;
    report.line("snapshot", size, "B/script", None)?;
    let start = Instant::now();
    let restored = WatchedScripts::restore(&snapshot).map_err(io::Error::other)?;
    report.line("restore", start.elapsed().as_secs_f64(), "s", None)?;
    assert_eq!(restored.len(), watched.len());
    drop(restored);

    let hash = script(u64::MAX).hash();
    watched.apply(&watching(scripts, hash.into()));
    let lookup = |script: &[u8]| watched.lookup(script).is_some();
    let miss_hashed = nanoseconds(scripts, scripts, lookup);
    let case = "lookup, foreign, with a hash watched";
    report.line(case, miss_hashed, "ns", Some(miss))
}

/// The second place where scripts are known: whom they wake. Gives back the bytes a script takes.
fn measure_outbox(report: &Report, scripts: u64) -> io::Result<f64> {
    let before = resident_bytes()?;
    let start = Instant::now();
    let mut outbox = PushOutbox::default();
    for number in 0..scripts {
        outbox.apply(&watching(number, script(number).into()));
    }
    let apply = scripts as f64 / start.elapsed().as_secs_f64();
    let bytes = (resident_bytes()? - before) / scripts as f64;
    let counted = outbox.watchers_memory_bytes() as f64 / scripts as f64;
    report.line("push outbox: apply", apply, "scripts/s", None)?;
    report.line("push outbox: memory", bytes, "B/script", None)?;
    let case = "push outbox: memory, as counted";
    report.line(case, counted, "B/script", None)?;
    // It stays until the end, like the others.
    std::mem::forget(outbox);
    Ok(bytes)
}

/// The mean time of a lookup of one of `count` scripts from `from` on, in no order, and every
/// answer is the same.
fn nanoseconds(from: u64, count: u64, lookup: impl Fn(&[u8]) -> bool) -> f64 {
    // The scripts are made before, in the order in which they are asked for.
    let step = 7_919 % count.max(1);
    let asked: Vec<[u8; 34]> = (0..LOOKUPS.min(count))
        .map(|index| script_bytes(from + index * step.max(1) % count))
        .collect();
    let start = Instant::now();
    let found = asked
        .iter()
        .filter(|script| lookup(black_box(script.as_slice())))
        .count();
    let each = start.elapsed().as_secs_f64() * 1e9 / asked.len() as f64;
    assert!(found == 0 || found == asked.len(), "{found} were found");
    each
}

async fn measure_handler(report: &Report, scripts: u64) -> io::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let log = StoredEventLog::new(Arc::new(store(folder.path())?));
    let ids = SystemIds::new();
    let handler = Handler::new(Arc::new(log), Arc::new(SystemClock), Arc::new(ids));
    let watches: Vec<(WatchTarget, WatchWish)> = (0..scripts)
        .map(|number| (script(number).into(), WatchWish::default()))
        .collect();
    let bounds = WatchBounds {
        list_max: WATCHED_ADDRESSES_CEILING,
        ..WatchBounds::new(Network::Regtest, None)
    };
    let start = Instant::now();
    for (number, part) in (0_u128..).zip(watches.chunks(IMPORT_LINES_MAX)) {
        let context = CommandContext {
            command_id: CommandId::new(number.to_be_bytes()),
            request_digest: RequestDigest::new([0; 16]),
        };
        let imported = import_addresses(&handler, context, client(0), part, bounds).await;
        let imported = imported.map_err(io::Error::other)?;
        assert_eq!(imported.added, part.len());
    }
    let rate = scripts as f64 / start.elapsed().as_secs_f64();
    report.line("import at the handler, one list", rate, "addresses/s", None)
}

async fn measure_http(report: &Report, scripts: u64) -> io::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let options = ServerOptions {
        store: Arc::new(store(folder.path())?),
        watched_addresses_max: WATCHED_ADDRESSES_CEILING,
        ..ServerOptions::default()
    };
    let server = HttpServer::start_with(options).await;
    let (identity, messaging) = (RequestKey::new(1), RequestKey::new(2));
    Request::command(Method::POST, "/v1/clients", &identity)
        .json(&RegisterClientRequest {
            client_id: identity.hex(),
            messaging_key: messaging.hex(),
        })
        .proven_by(&messaging)
        .send(&server)
        .await
        .expect::<serde_json::Value>(201);
    let bodies: Vec<(u64, String)> = (0..scripts)
        .step_by(IMPORT_LINES_MAX)
        .map(|from| {
            let to = scripts.min(from + IMPORT_LINES_MAX as u64);
            let line = |number| {
                let script = hex::encode(&script_bytes(number)[2..]);
                format!("{{\"script\":\"0014{}\"}}\n", &script[..40])
            };
            (to - from, (from..to).map(line).collect())
        })
        .collect();
    let start = Instant::now();
    for (count, body) in bodies {
        let request = Request::command(Method::POST, "/v1/addresses:import", &identity)
            .body("application/x-ndjson", body.into_bytes());
        let answer: ImportAddressesResponse = request.send(&server).await.expect(200);
        assert_eq!(answer.added as u64, count);
    }
    let rate = scripts as f64 / start.elapsed().as_secs_f64();
    server.stop().await;
    report.line("import over HTTP, one client", rate, "addresses/s", None)
}

fn store(folder: &Path) -> io::Result<EmbeddedEventStore> {
    EmbeddedEventStore::open(&EmbeddedOptions::new(folder.join("log"))).map_err(io::Error::other)
}

fn client(number: u64) -> ClientId {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ClientId::from_stored(bytes)
}

/// A taproot script, the longest that is usual. Its bytes differ everywhere.
fn script_bytes(number: u64) -> [u8; 34] {
    let mut bytes = [0; 34];
    (bytes[0], bytes[1]) = (0x51, 0x20);
    let mut word = number;
    for part in bytes[2..].chunks_exact_mut(8) {
        // SplitMix64.
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    bytes
}

fn script(number: u64) -> Script {
    Script::new(&script_bytes(number)).expect("a taproot script has 34 bytes")
}

fn watching(number: u64, target: WatchTarget) -> Envelope {
    let (list, place) = (number / SCRIPTS_PER_CLIENT, number % SCRIPTS_PER_CLIENT);
    let id = WatchId::new([1; 16]).at_place(u32::try_from(place).unwrap_or(u32::MAX));
    Envelope {
        stream: StreamId::watchlist(client(list)),
        revision: Revision(place),
        position: Position::new(number + 1, 0),
        event_id: EventId::new([0; 16]),
        metadata: Metadata {
            command_id: CommandId::new([0; 16]),
            request_digest: RequestDigest::new([0; 16]),
            recorded_at: AT,
        },
        event: WatchlistEvent::AddressWatched {
            id,
            target: Sealed::Present(target),
            options: WatchOptions::default(),
            at: AT,
        }
        .into(),
    }
}

/// What the process holds in memory now.
fn resident_bytes() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(1);
    let pages: Option<u32> = pages.and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm has another form"))?;
    Ok(f64::from(pages) * 4_096.0)
}

struct Report {
    json: bool,
}

impl Report {
    fn line(&self, case: &str, value: f64, unit: &str, baseline: Option<f64>) -> io::Result<()> {
        let ratio = baseline.map(|baseline| value / baseline);
        let metric = match unit {
            "B/script" => "size",
            "ns" | "s" => "time",
            _ => "throughput",
        };
        let mut out = io::stdout().lock();
        if self.json {
            let object = serde_json::json!({
                "bench": "watchlist", "case": case, "metric": metric, "value": value,
                "unit": unit, "baseline": baseline, "ratio": ratio,
            });
            return writeln!(out, "{object}");
        }
        let ratio = ratio.map_or(String::new(), |ratio| format!("x {ratio:.2}"));
        writeln!(out, "{case:<38} {value:>14.2} {unit:<12} {ratio:>8}")
    }
}
