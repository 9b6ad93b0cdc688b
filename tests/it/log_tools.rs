//! `satpostd verify`, `backup`, `restore` and `stats` as an operator runs them: the real binary, on
//! folders that are being written and on folders that were tampered with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use satpost_commands::ports::Expected;
use satpost_domain::{EventId, PayloadId, Revision, StreamId};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::{EventStore as _, NewStoredEvent};
use satpost_tests::process::binaries;
use serde_json::Value;

mod checkpoints;
mod refusals;

/// Runs a tool on a data folder.
fn tool(name: &str, data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(binaries().join("satpostd"))
        .arg(name)
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs a tool that is expected to succeed and gives its JSON.
fn json(name: &str, data_dir: &Path, arguments: &[&str]) -> Value {
    let output = tool(name, data_dir, &[arguments, &["--json"]].concat());
    assert!(
        output.status.success(),
        "{name}: {}{}",
        said(&output),
        told(&output)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn open(folder: &Path) -> EmbeddedEventStore {
    let options = EmbeddedOptions {
        segment_bytes: 1024 * 1024,
        blob_segment_bytes: 1024 * 1024,
        ..EmbeddedOptions::new(folder)
    };
    EmbeddedEventStore::open(&options).unwrap()
}

/// Appends event `number` to the stream of `writer`, with a payload, and erases the payload of the
/// event ten before it.
async fn append(store: &EmbeddedEventStore, writer: u8, number: u64) {
    let stream: StreamId = format!("mailbox-{writer}").parse().unwrap();
    let id = |number: u64| {
        let mut id = [writer; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        id
    };
    let event = NewStoredEvent {
        id: EventId::new(id(number)),
        kind: "Something".into(),
        schema: 1,
        body: vec![writer; 400],
        metadata: vec![],
        payload: Some((PayloadId::new(id(number)), Arc::from(vec![writer; 100]))),
    };
    let expected = number
        .checked_sub(1)
        .map_or(Expected::NoStream, |last| Expected::Exact(Revision(last)));
    let erase = number.checked_sub(10).map(|old| PayloadId::new(id(old)));
    store
        .append(&stream, expected, vec![event], erase.into_iter().collect())
        .await
        .unwrap();
}

/// A closed log of one stream.
async fn small_log(folder: &Path, events: u64) {
    let store = open(folder);
    for number in 0..events {
        append(&store, 1, number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_backups_under_full_load_are_each_the_log_at_one_position() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let store = Arc::new(open(&data));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                let numbers = (0..8_000).take_while(|_| !stop.load(Ordering::Relaxed));
                for number in numbers {
                    append(&store, writer, number).await;
                }
            })
        })
        .collect();
    let path = root.path().to_owned();
    let rounds = tokio::task::spawn_blocking(move || {
        let mut heads: Vec<u64> = Vec::new();
        for round in 0..20 {
            heads.push(check_round(&path, round));
        }
        heads
    });
    let heads = rounds.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(heads.is_sorted(), "{heads:?}");
    let moved = heads.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(moved >= 3, "nothing was written meanwhile: {heads:?}");
}

/// Backs up, restores, verifies; gives the position.
fn check_round(root: &Path, round: usize) -> u64 {
    let keys = root.join("payload.keys");
    let with_keys = ["--payload-keys", text(&keys)];
    let (flags, keys): (&[&str], &[&str]) = match round % 3 {
        0 => (&[], &[]),
        1 => (&with_keys, &with_keys),
        _ => (&["--copy"], &[]),
    };
    let data = root.join("data");
    let target = root.join(format!("backup-{round}"));
    let fresh = root.join(format!("fresh-{round}"));
    let backup = json("backup", &data, &[&[text(&target)], flags].concat());
    let restored = json("restore", &fresh, &[&[text(&target)], keys].concat());
    assert_eq!(restored["position"], backup["position"]);
    let copy = json("verify", &fresh, &[]);
    assert_eq!(copy["chain"], backup["chain"]);
    assert_eq!(copy["head"], backup["position"]);
    assert_eq!(copy["payloads"]["lost"], restored["payloads_lost"]);
    // The source at that position: cut a copy of it made later.
    let later = root.join(format!("later-{round}"));
    let cut = root.join(format!("cut-{round}"));
    json("backup", &data, &[text(&later)]);
    let position = backup["position"].as_str().unwrap();
    let source = json("restore", &cut, &[text(&later), "--to", position]);
    assert_eq!(
        source["chain"], backup["chain"],
        "another history at {position}"
    );
    for folder in [target, fresh, later, cut] {
        fs::remove_dir_all(folder).unwrap();
    }
    position.parse().unwrap()
}

#[tokio::test]
async fn stats_counts_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    small_log(&data, 25).await;
    let stats = json("stats", &data, &[]);
    assert_eq!(stats["events"], 25);
    assert_eq!(stats["streams"], 1);
    assert_eq!(stats["payloads"]["alive"], 10);
    assert_eq!(stats["payloads"]["bytes"], 10 * (100 + 16));
    assert_eq!(stats["types"][0]["name"], "Something");
    assert_eq!(stats["categories"][0]["name"], "mailbox");
    assert_eq!(stats["largest_streams"][0]["events"], 25);
    assert_eq!(stats["chain"], json("verify", &data, &[])["chain"]);
    let table = tool("stats", &data, &[]);
    assert!(said(&table).contains("mailbox"), "{}", said(&table));
}
