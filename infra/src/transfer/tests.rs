//! Files of a log: round trips, interruptions, damage, and logs that are others.

use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;
use satpost_commands::ports::Expected;
use satpost_domain::{EventId, PayloadId, Position, Revision};
use satpost_event_store::memory::MemoryEventStore;
use satpost_event_store::{EventStore, NewStoredEvent, RecordedEvent};

use super::export::{ExportError, Start, export, head_through};
use super::file::{Events, FileError, Format, RecordWriter, Scanned, scan};
use super::head::LogHead;
use super::import::{ImportError, Imported, import};

const ALL: Position = Position::new(u64::MAX, 0);
const FORMATS: [Format; 2] = [Format::Jsonl, Format::Postcard];

/// An append of `events` events to stream `stream`; those with a payload are marked, and every
/// payload of the log whose number is in `erase` is erased.
#[derive(Debug, Clone)]
struct Step {
    stream: u8,
    events: Vec<bool>,
    erase: Vec<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let events = prop::collection::vec(any::<bool>(), 1..4);
    let erase = prop::collection::vec(0_u8..40, 0..3);
    let step = (0_u8..3, events, erase).prop_map(|(stream, events, erase)| Step {
        stream,
        events,
        erase,
    });
    prop::collection::vec(step, 0..20)
}

fn payload_id(number: u8) -> PayloadId {
    PayloadId::new([number; 16])
}

async fn log_of(steps: &[Step]) -> MemoryEventStore {
    let store = MemoryEventStore::new();
    extend(&store, 0, steps).await;
    store
}

/// Appends `steps` to a log that has `number` events.
async fn extend(store: &MemoryEventStore, mut number: u8, steps: &[Step]) {
    for step in steps {
        let stream = format!("test-{}", step.stream).parse().unwrap();
        let last = store.read_stream_back(&stream, None, 1).await.unwrap();
        let expected = last
            .events
            .first()
            .map_or(Expected::NoStream, |event| Expected::Exact(event.revision));
        let events = step.events.iter().map(|with_payload| {
            number += 1;
            let payload: Arc<[u8]> = vec![number; usize::from(number)].into();
            NewStoredEvent {
                id: EventId::new([number; 16]),
                kind: format!("Kind{}", number % 3).into(),
                schema: u16::from(number),
                body: vec![number; usize::from(number % 7)],
                metadata: vec![number],
                payload: with_payload.then(|| (payload_id(number), payload)),
            }
        });
        let events = events.collect();
        let erase = step.erase.iter().map(|number| payload_id(*number));
        store
            .append(&stream, expected, events, erase.collect())
            .await
            .unwrap();
    }
}

/// A log in which streams take turns and some payloads are gone.
async fn example() -> MemoryEventStore {
    log_of(&example_steps()).await
}

fn example_steps() -> Vec<Step> {
    let step = |stream, events: &[bool], erase: &[u8]| Step {
        stream,
        events: events.to_vec(),
        erase: erase.to_vec(),
    };
    vec![
        step(0, &[true, false], &[]),
        step(1, &[true], &[]),
        step(0, &[true, true, false], &[1]),
        step(2, &[false], &[]),
        step(1, &[true, false], &[5]),
    ]
}

async fn file_of(
    store: &MemoryEventStore,
    format: Format,
    (from, to): (Position, Position),
    with_payloads: bool,
) -> Vec<u8> {
    let writer = RecordWriter::begin(format, Vec::new()).unwrap();
    let range = (Start::At(from), to);
    let written = export(store, range, with_payloads, writer, |_| {}).await;
    written.unwrap().1
}

async fn resumed(store: &MemoryEventStore, begun: &[u8]) -> Result<Vec<u8>, ExportError> {
    let scanned = scan(begun, |_| ()).unwrap();
    let kept = begun[..usize::try_from(scanned.bytes).unwrap()].to_vec();
    let end = u64::try_from(kept.len()).unwrap();
    let mut out = Cursor::new(kept);
    out.set_position(end);
    let writer = RecordWriter::resume(&scanned, out);
    let with_payloads = scanned.header.with_payloads;
    let written = export(
        store,
        (Start::After(&scanned), ALL),
        with_payloads,
        writer,
        |_| {},
    );
    Ok(written.await?.1.into_inner())
}

async fn imported(store: &MemoryEventStore, file: &[u8]) -> Result<Imported, ImportError> {
    let scanned: Scanned = scan(file, |_| ())?;
    import(store, Events::open(file)?, &scanned, 4, |_| {}).await
}

async fn events_of(store: &MemoryEventStore) -> Vec<RecordedEvent> {
    store.read_all(Position::START, usize::MAX).await.unwrap()
}

async fn head_of(store: &MemoryEventStore) -> LogHead {
    head_through(store, ALL, |_| {}).await.unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #[test]
    fn a_log_comes_back_as_it_was(steps in steps(), with_payloads: bool, cut: prop::sample::Index) {
        block_on(async {
            let source = log_of(&steps).await;
            let events = events_of(&source).await;
            let whole = (Position::START, ALL);
            let to = Position::new(cut.index(events.len() + 1) as u64, 0);
            for format in FORMATS {
                let target = MemoryEventStore::new();
                let beginning = file_of(&source, format, (Position::START, to), with_payloads).await;
                imported(&target, &beginning).await.unwrap();
                let file = file_of(&source, format, whole, with_payloads).await;
                let done = imported(&target, &file).await.unwrap();
                assert_eq!((done.present, done.beyond), (to.major(), 0));
                assert_eq!(done.present + done.appended, events.len() as u64);
                assert_eq!(events_of(&target).await, events);
                assert_eq!(done.head, head_of(&source).await);
                for id in events.iter().filter_map(|event| event.payload) {
                    let expected = source.payload(id).await.unwrap().filter(|_| with_payloads);
                    assert_eq!(target.payload(id).await.unwrap(), expected);
                }
            }
        });
    }
}

#[tokio::test]
async fn an_import_is_never_doubled() {
    let source = example().await;
    let target = MemoryEventStore::new();
    let file = file_of(&source, Format::Postcard, (Position::START, ALL), true).await;
    let first = imported(&target, &file).await.unwrap();
    assert_eq!((first.present, first.appended), (0, 9));
    let again = imported(&target, &file).await.unwrap();
    assert_eq!((again.present, again.appended), (9, 0));
    assert_eq!(events_of(&target).await.len(), 9);
}

#[tokio::test]
async fn a_log_that_went_on_keeps_what_came_later() {
    let source = example().await;
    let file = file_of(
        &source,
        Format::Jsonl,
        (Position::START, Position::new(4, 0)),
        false,
    )
    .await;
    let done = imported(&source, &file).await.unwrap();
    assert_eq!((done.present, done.appended, done.beyond), (4, 0, 5));
}

#[tokio::test]
async fn the_rest_of_a_log_fits_behind_its_beginning_only() {
    let source = example().await;
    for format in FORMATS {
        let middle = Position::new(4, 0);
        let beginning = file_of(&source, format, (Position::START, middle), true).await;
        let rest = file_of(&source, format, (Position::new(5, 0), ALL), true).await;
        let target = MemoryEventStore::new();
        let error = imported(&target, &rest).await.unwrap_err();
        assert!(
            matches!(
                error,
                ImportError::Behind {
                    needed: 4,
                    found: 0
                }
            ),
            "{error}"
        );
        imported(&target, &beginning).await.unwrap();
        let done = imported(&target, &rest).await.unwrap();
        assert_eq!(done.head, head_of(&source).await);
        assert_eq!(events_of(&target).await, events_of(&source).await);
    }
}

#[tokio::test]
async fn refuses_a_target_that_is_another_log() {
    let source = example().await;
    let mut steps = example_steps();
    steps[0].events[0] = false;
    let other = log_of(&steps).await;
    let before = events_of(&other).await;
    let file = file_of(&source, Format::Postcard, (Position::START, ALL), false).await;
    let error = imported(&other, &file).await.unwrap_err();
    let ImportError::OtherEvent {
        event: 1,
        stream,
        revision,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((stream.as_str(), revision), ("test-0", Revision(0)));
    let rest = file_of(&source, Format::Postcard, (Position::new(5, 0), ALL), false).await;
    let error = imported(&other, &rest).await.unwrap_err();
    assert!(
        matches!(error, ImportError::OtherLog { events: 4 }),
        "{error}"
    );
    assert_eq!(events_of(&other).await, before, "nothing was changed");
}

#[tokio::test]
async fn an_export_that_was_cut_anywhere_is_gone_on_with() {
    let source = example().await;
    for format in FORMATS {
        let whole = file_of(&source, format, (Position::START, ALL), true).await;
        let mut resumable = 0;
        for length in 0..whole.len() {
            let cut = &whole[..length];
            let target = MemoryEventStore::new();
            assert!(imported(&target, cut).await.is_err(), "cut at {length}");
            assert!(events_of(&target).await.is_empty());
            if scan(cut, |_| ()).is_ok() {
                assert_eq!(
                    resumed(&source, cut).await.unwrap(),
                    whole,
                    "cut at {length}"
                );
                resumable += 1;
            }
        }
        assert!(
            resumable > whole.len() / 2,
            "{resumable} of {}",
            whole.len()
        );
    }
}

#[tokio::test]
async fn a_finished_export_takes_what_has_happened_since() {
    let steps = example_steps();
    let source = log_of(&steps[..2]).await;
    for format in FORMATS {
        let begun = file_of(&source, format, (Position::START, ALL), false).await;
        let later = source.clone();
        assert_eq!(
            resumed(&later, &begun).await.unwrap(),
            begun,
            "nothing happened"
        );
    }
    let begun = file_of(&source, Format::Jsonl, (Position::START, ALL), false).await;
    extend(&source, 3, &steps[2..]).await;
    let whole = file_of(&source, Format::Jsonl, (Position::START, ALL), false).await;
    assert_eq!(resumed(&source, &begun).await.unwrap(), whole);
}

#[tokio::test]
async fn refuses_to_go_on_with_the_file_of_another_log() {
    let begun = file_of(
        &example().await,
        Format::Postcard,
        (Position::START, ALL),
        false,
    )
    .await;
    let mut steps = example_steps();
    steps[0].events[0] = false;
    let error = resumed(&log_of(&steps).await, &begun).await.unwrap_err();
    assert!(
        matches!(error, ExportError::OtherLog { events: 9 }),
        "{error}"
    );
    let shorter = resumed(&log_of(&steps[..1]).await, &begun)
        .await
        .unwrap_err();
    assert!(matches!(shorter, ExportError::OtherLog { .. }), "{shorter}");
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_found_before_anything_is_written() {
    let source = example().await;
    for format in FORMATS {
        let whole = file_of(&source, format, (Position::START, ALL), true).await;
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            let target = MemoryEventStore::new();
            assert!(
                imported(&target, &damaged).await.is_err(),
                "{format:?}, byte {place}"
            );
            assert!(events_of(&target).await.is_empty());
        }
    }
}

#[tokio::test]
async fn refuses_what_a_newer_program_wrote_and_what_is_no_export() {
    let source = example().await;
    let mut binary = file_of(&source, Format::Postcard, (Position::START, ALL), false).await;
    binary[8] = 2;
    let text = file_of(&source, Format::Jsonl, (Position::START, ALL), false).await;
    let text = String::from_utf8(text)
        .unwrap()
        .replacen("\"version\":1", "\"version\":2", 1);
    for newer in [binary, text.into_bytes()] {
        let error = scan(&newer[..], |_| ()).err().unwrap();
        assert!(matches!(error, FileError::Newer { found: 2 }), "{error}");
    }
    for foreign in [&b""[..], b"SATPSNAP and more", b"{\"a\": 1}\n"] {
        let error = scan(foreign, |_| ()).err().unwrap();
        assert!(matches!(error, FileError::Foreign), "{error}");
    }
}

#[tokio::test]
async fn the_readable_form_shows_every_event_on_a_line() {
    let source = example().await;
    let file = file_of(&source, Format::Jsonl, (Position::START, ALL), false).await;
    let text = String::from_utf8(file).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 11);
    assert_eq!(lines[0]["record"], "header");
    assert_eq!(lines[1]["stream"], "test-0");
    assert_eq!(lines[1]["type"], "Kind1");
    assert_eq!(lines[1]["payload"]["state"], "left_out");
    assert_eq!(lines[10]["record"], "end");
}
