//! A data folder in order, and everything that can be put back into it or taken out of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use satpost_commands::ports::{Clock, EventLog as _, Expected, NewEvent, NewPayload};
use satpost_domain::hash::sha256;
use satpost_domain::ids::{ChainHash, Digest};
use satpost_domain::mailbox::{GoneReason, MailboxEvent, SizeBucket};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, CommandId, Event, EventId, MessageId, MessagingKey, Metadata, PayloadId,
    RequestDigest, Revision, Sealed, StreamId, Timestamp, WatchId,
};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use tempfile::TempDir;

use super::check::{BYTES_GRACE, Checked, check};
use super::finding::{Finding, FindingCode as Code, Severity};
use crate::event_log::StoredEventLog;
use crate::system::SystemClock;

/// Long ago: nothing has any time left.
const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn body(seq: u8) -> Vec<u8> {
    (0..512_u32).map(|n| (n * 7) as u8 ^ seq).collect()
}

fn message(seq: u8) -> MessageId {
    MessageId::new([0xa0 + seq; 16])
}

fn owner() -> ClientId {
    ClientId::from_stored([1; 32])
}

/// A log that is written.
struct Writer {
    log: StoredEventLog,
    number: u8,
    revisions: [u64; 2],
    at: Timestamp,
}

impl Writer {
    async fn begin(data: &Path, at: Timestamp) -> Self {
        let options = EmbeddedOptions {
            segment_bytes: 256 * 1024,
            blob_segment_bytes: 256 * 1024,
            ..EmbeddedOptions::new(data)
        };
        let store = EmbeddedEventStore::open(&options).unwrap();
        let mut writer = Self {
            log: StoredEventLog::new(Arc::new(store)),
            number: 0,
            revisions: [0; 2],
            at,
        };
        let opened = MailboxEvent::MailboxOpened {
            key: MessagingKey::from_stored([2; 32]),
            owner: owner(),
            at,
        };
        writer.mailbox(opened, None, &[]).await;
        writer
    }

    async fn append(
        &mut self,
        stream: usize,
        event: Event,
        payload: Option<NewPayload>,
        erase: &[PayloadId],
    ) {
        let names = [
            StreamId::mailbox(MessagingKey::from_stored([2; 32])),
            StreamId::watchlist(owner()),
        ];
        self.number += 1;
        let event = NewEvent {
            id: EventId::new([self.number; 16]),
            event,
            metadata: Metadata {
                command_id: CommandId::new([self.number; 16]),
                request_digest: RequestDigest::new([0; 16]),
                recorded_at: self.at,
            },
            payload,
        };
        let expected = match self.revisions[stream].checked_sub(1) {
            None => Expected::NoStream,
            Some(last) => Expected::Exact(Revision(last)),
        };
        self.revisions[stream] += 1;
        self.log
            .append(&names[stream], expected, vec![event], erase.to_vec())
            .await
            .unwrap();
    }

    async fn mailbox(
        &mut self,
        event: MailboxEvent,
        payload: Option<NewPayload>,
        erase: &[PayloadId],
    ) {
        self.append(0, event.into(), payload, erase).await;
    }

    async fn accept(&mut self, seq: u8, digest: Digest) {
        let id = message(seq);
        let accepted = MailboxEvent::MessageAccepted {
            seq: u64::from(seq),
            id,
            size: SizeBucket::of(512).unwrap(),
            digest,
            chain: ChainHash::new([seq; 32]),
            knock: false,
            at: self.at,
            expires_at: self.at,
        };
        let payload = NewPayload {
            id: id.into(),
            bytes: body(seq).into(),
        };
        self.mailbox(accepted, Some(payload), &[]).await;
    }

    async fn acknowledge(&mut self, through: u64, erase: &[PayloadId]) {
        let acknowledged = MailboxEvent::MessagesAcknowledged {
            through,
            count: 1,
            at: self.at,
        };
        self.mailbox(acknowledged, None, erase).await;
    }

    async fn expire(&mut self, seq: u8) {
        let gone = MailboxEvent::MessageGone {
            seq: u64::from(seq),
            reason: GoneReason::Expired,
            at: self.at,
        };
        self.mailbox(gone, None, &[message(seq).into()]).await;
    }

    async fn watch_and_unwatch(&mut self) {
        let mut script = [0x77; 22];
        (script[0], script[1]) = (0, 20);
        let id = WatchId::new([0xb1; 16]);
        let watched = WatchlistEvent::AddressWatched {
            id,
            target: Sealed::Present(Script::new(&script).unwrap().into()),
            options: WatchOptions::default(),
            at: self.at,
        };
        self.append(1, watched.into(), None, &[]).await;
        let unwatched = WatchlistEvent::AddressUnwatched { id, at: self.at };
        self.append(1, unwatched.into(), None, &[id.into()]).await;
    }
}

/// A closed folder: message 1 is acknowledged, 2 has expired, 3 waits, an address was watched for a
/// while. Beside it, its payloads as they were before anything was closed.
struct Stage {
    _root: TempDir,
    data: PathBuf,
    before: PathBuf,
}

impl Stage {
    async fn set() -> Self {
        Self::set_at(AT).await
    }

    async fn set_at(at: Timestamp) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, before) = (root.path().join("data"), root.path().join("before"));
        let mut writer = Writer::begin(&data, at).await;
        for seq in 1..=3 {
            writer.accept(seq, sha256(&body(seq))).await;
        }
        fs::create_dir(&before).unwrap();
        for name in ["keys", "0000000001.blob"] {
            fs::copy(data.join("payloads").join(name), before.join(name)).unwrap();
        }
        writer.acknowledge(1, &[message(1).into()]).await;
        writer.expire(2).await;
        writer.watch_and_unwatch().await;
        Self {
            _root: root,
            data,
            before,
        }
    }

    fn payloads(&self, name: &str) -> PathBuf {
        self.data.join("payloads").join(name)
    }

    fn put_back(&self, name: &str) {
        fs::copy(self.before.join(name), self.payloads(name)).unwrap();
    }

    fn check(&self) -> Checked {
        check(&self.data, &SystemClock, &|_, _| ()).unwrap()
    }

    fn codes(&self) -> BTreeSet<Code> {
        codes(&self.check().findings)
    }
}

fn codes(findings: &[Finding]) -> BTreeSet<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// Changes a byte in the middle of the ciphertext of `id`.
fn damage(blob: &Path, id: PayloadId) {
    let mut bytes = fs::read(blob).unwrap();
    let at = bytes.windows(16).position(|window| window == id.as_bytes());
    bytes[at.unwrap() + 200] ^= 1;
    fs::write(blob, bytes).unwrap();
}

#[tokio::test]
async fn a_folder_in_order_has_nothing_to_find() {
    let checked = Stage::set().await.check();
    assert_eq!(checked.findings, []);
    let numbers = (
        checked.open,
        checked.readable,
        checked.closed,
        checked.looks,
    );
    assert_eq!(numbers, (1, 1, 3, 1));
    assert_eq!((checked.events, checked.lost), (8, 0));
}

#[tokio::test]
async fn finds_keys_that_were_put_back_and_says_whose_they_are() {
    let stage = Stage::set().await;
    stage.put_back("keys");
    let findings = stage.check().findings;
    assert_eq!(codes(&findings), BTreeSet::from([Code::KeyNotDestroyed]));
    let seqs: Vec<_> = findings
        .iter()
        .map(|finding| finding.event.as_ref().unwrap().seq.unwrap())
        .collect();
    assert_eq!(BTreeSet::from_iter(seqs), BTreeSet::from([1, 2]));
    let finding = &findings[0];
    let slot = finding.slot.unwrap();
    assert_eq!(finding.offset, Some(u64::from(slot) * 64));
    assert_eq!(finding.file, Some(stage.payloads("keys")));
    assert_eq!(finding.code.severity(), Severity::Left);
}

#[tokio::test]
async fn finds_bytes_that_were_put_back() {
    let stage = Stage::set().await;
    stage.put_back("0000000001.blob");
    let findings = stage.check().findings;
    assert_eq!(codes(&findings), BTreeSet::from([Code::BytesLeft]));
    assert_eq!(findings.len(), 2);
    assert!(findings.iter().all(|finding| finding.event.is_some()));
}

#[tokio::test]
async fn finds_a_body_that_can_be_read_again() {
    let stage = Stage::set().await;
    stage.put_back("keys");
    stage.put_back("0000000001.blob");
    let expected = BTreeSet::from([Code::ClosedReadable, Code::KeyNotDestroyed]);
    assert_eq!(stage.codes(), expected);
}

#[tokio::test]
async fn bytes_have_their_time_and_no_more() {
    /// Each question finds it ten seconds later.
    struct Hasty(AtomicU64);

    impl Clock for Hasty {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.fetch_add(10_000, Ordering::Relaxed))
        }
    }

    let stage = Stage::set_at(AT).await;
    stage.put_back("0000000001.blob");
    let clock = Hasty(AtomicU64::new(AT.as_millis()));
    let checked = check(&stage.data, &clock, &|_, _| ()).unwrap();
    assert_eq!(codes(&checked.findings), BTreeSet::from([Code::BytesLeft]));
    let asked = (clock.now().as_millis() - AT.as_millis()) / 1_000;
    assert!(asked > BYTES_GRACE.as_secs(), "{asked}");
    assert!(checked.looks >= 3, "{}", checked.looks);
}

#[tokio::test]
async fn finds_an_open_body_that_was_damaged_or_lost_its_key_or_is_gone() {
    let stage = Stage::set().await;
    let blob = stage.payloads("0000000001.blob");
    let whole = fs::read(&blob).unwrap();
    damage(&blob, message(3).into());
    let findings = stage.check().findings;
    assert_eq!(codes(&findings), BTreeSet::from([Code::OpenDamaged]));
    assert_eq!(findings[0].event.as_ref().unwrap().seq, Some(3));
    assert_eq!(findings[0].code.severity(), Severity::Disorder);
    fs::write(&blob, whole).unwrap();
    let keys = fs::read(stage.payloads("keys")).unwrap();
    fs::write(stage.payloads("keys"), &keys[..64]).unwrap();
    assert_eq!(stage.codes(), BTreeSet::from([Code::OpenDamaged]));
    fs::write(stage.payloads("keys"), keys).unwrap();
    fs::remove_file(&blob).unwrap();
    assert_eq!(stage.codes(), BTreeSet::from([Code::OpenMissing]));
}

#[tokio::test]
async fn finds_an_open_body_that_is_not_what_its_event_says() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = Writer::begin(root.path(), AT).await;
    writer.accept(1, sha256(b"another body")).await;
    drop(writer);
    let checked = check(root.path(), &SystemClock, &|_, _| ()).unwrap();
    assert_eq!(
        codes(&checked.findings),
        BTreeSet::from([Code::OpenDiffers])
    );
}

#[tokio::test]
async fn takes_the_word_of_the_events_over_that_of_the_log() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = Writer::begin(root.path(), AT).await;
    for seq in 1..=2 {
        writer.accept(seq, sha256(&body(seq))).await;
    }
    // Closed by the events and not by the log; and the other way round.
    writer.acknowledge(1, &[message(2).into()]).await;
    drop(writer);
    let checked = check(root.path(), &SystemClock, &|_, _| ()).unwrap();
    let expected = [
        Code::ClosedReadable,
        Code::KeyNotDestroyed,
        Code::ErasureNotRecorded,
        Code::OpenErased,
    ];
    assert_eq!(codes(&checked.findings), BTreeSet::from(expected));
}

#[tokio::test]
async fn finds_what_no_event_has_stored() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = Writer::begin(root.path(), AT).await;
    let log = root.path().join("log/0000000001.log");
    let before = fs::read(&log).unwrap();
    writer.accept(1, sha256(&body(1))).await;
    drop(writer);
    fs::write(&log, before).unwrap();
    let checked = check(root.path(), &SystemClock, &|_, _| ()).unwrap();
    let expected = BTreeSet::from([Code::OrphanKey, Code::OrphanBytes]);
    assert_eq!(codes(&checked.findings), expected);
    assert!(
        checked
            .findings
            .iter()
            .all(|finding| finding.event.is_none())
    );
}

#[tokio::test]
async fn finds_what_lies_between_the_payloads_and_beside_them() {
    let stage = Stage::set().await;
    let keys = stage.payloads("keys");
    let mut bytes = fs::read(&keys).unwrap();
    let end = bytes.len();
    bytes[end - 40] = 1;
    fs::write(&keys, bytes).unwrap();
    let blob = stage.payloads("0000000001.blob");
    let mut bytes = fs::read(&blob).unwrap();
    bytes[60] = 1;
    fs::write(&blob, bytes).unwrap();
    fs::write(stage.payloads("note"), "mine").unwrap();
    let expected = [Code::SlotDamaged, Code::StrayBytes, Code::ForeignFile];
    assert_eq!(stage.codes(), BTreeSet::from(expected));
}

#[tokio::test]
async fn finds_copies_that_no_erasure_reaches() {
    let stage = Stage::set().await;
    let folder = stage.data.join("projections");
    fs::create_dir(&folder).unwrap();
    fs::copy(stage.before.join("keys"), stage.data.join("keys.bak")).unwrap();
    let mut hidden = vec![0x5a; 5 * 1024 * 1024];
    hidden.extend(fs::read(stage.before.join("0000000001.blob")).unwrap());
    let partial = folder.join("snapshot.partial");
    fs::write(&partial, hidden).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_millis(AT.as_millis());
    let file = fs::File::options().write(true).open(&partial).unwrap();
    file.set_modified(long_ago).unwrap();
    // One that is being written has its time.
    fs::write(folder.join("snapshot.new"), "half of it").unwrap();
    let findings = stage.check().findings;
    let copies = findings
        .iter()
        .filter(|found| found.code == Code::CopyOfPayloads);
    let files: BTreeSet<_> = copies
        .map(|found| found.file.as_ref().unwrap().file_name().unwrap().to_owned())
        .collect();
    assert_eq!(
        files,
        BTreeSet::from(["keys.bak".into(), "snapshot.partial".into()])
    );
    let expected = BTreeSet::from([Code::CopyOfPayloads, Code::SnapshotLeft]);
    assert_eq!(codes(&findings), expected);
}

#[test]
fn every_code_is_a_name_of_its_own() {
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    assert!(names.iter().all(is_plain), "{names:?}");
}
