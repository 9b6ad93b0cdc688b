//! Compares what lies in the files with what the events say.
//!
//! Beside a server that is at work, payloads come, go and are moved while they are looked at. So
//! what is found must be found in two looks in a row, what happens after the first look is left to
//! the next check, and bytes have their time to be overwritten.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use satpost_commands::ports::Clock;
use satpost_domain::hash::sha256;
use satpost_domain::{PayloadId, Position, Timestamp};
use satpost_event_store::LogIdentity;
use satpost_event_store::embedded::erasure::{Content, DataFolderLook, Opened, Remnant};

use super::books::{Books, BooksError, OpenPayload, find_events};
use super::finding::{Finding, FindingCode};
use super::other_files;
use crate::snapshots::{SnapshotPolicy, Snapshots};

/// How long the bytes of a closed payload may stay.
pub const BYTES_GRACE: Duration = Duration::from_secs(60);
/// How long before another look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same while only time is waited for.
const LOOK_LATER: Duration = Duration::from_secs(5);
/// How many findings are kept; the rest is counted.
const FINDINGS_MAX: usize = 1_000;

/// What was looked at, and what is wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// Which log it is.
    pub log: LogIdentity,
    /// The last event that was taken into account.
    pub head: Position,
    /// How many events there are.
    pub events: u64,
    /// How many payloads are open.
    pub open: u64,
    /// How many of them could be read and are what their events say.
    pub readable: u64,
    /// How many of them are known to be lost since a restore.
    pub lost: u64,
    /// How many payloads are closed.
    pub closed: u64,
    /// How often the files were looked at.
    pub looks: u32,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// How many further findings there were.
    pub further: u64,
}

/// What one look gave.
#[derive(Default)]
struct Look {
    readable: HashSet<PayloadId>,
    /// Why open payloads could not be read, where there is something of them.
    troubles: HashMap<PayloadId, Finding>,
    findings: Vec<Finding>,
    /// Whether some bytes still have time.
    is_early: bool,
    lost: u64,
}

/// What makes two findings of two looks the same: payloads move.
type Identity = (FindingCode, Option<PayloadId>, Option<(PathBuf, u64)>);

fn identity(finding: &Finding) -> Identity {
    let place = match finding.payload {
        Some(_) => None,
        None => finding
            .file
            .clone()
            .map(|file| (file, finding.offset.unwrap_or_default())),
    };
    (finding.code, finding.payload, place)
}

/// Checks a data folder, also beside its server; then it may take a little more than
/// [`BYTES_GRACE`]. `progress` is told how many bytes of how many are done, for the log and then for
/// the payloads.
///
/// # Errors
/// [`BooksError`] when the log cannot be folded or a file cannot be read.
pub fn check(
    folder: &Path,
    clock: &dyn Clock,
    progress: &dyn Fn(u64, u64),
) -> Result<Checked, BooksError> {
    let files = DataFolderLook::new(folder)?;
    let started = clock.now();
    // Read before the log: what it tells of is then surely in it.
    let snapshot = Snapshots::new(folder).read().position();
    let keep = SnapshotPolicy::default().interval + BYTES_GRACE + BYTES_GRACE;
    let since = started.as_millis().saturating_sub(millis(keep));
    let books = Books::new(Timestamp::from_millis(since));
    let mut check = Check {
        files,
        folder,
        clock,
        snapshot,
        books,
        horizon: Position::START,
    };
    check.books.catch_up(&check.files, progress)?;
    check.horizon = check.books.head();
    let mut now = check.look_at_everything(progress)?;
    let mut looks = 1;
    let mut before = Vec::new();
    while !now.findings.is_empty() && (looks == 1 || now.is_early) {
        pause(if now.is_early && looks > 1 {
            LOOK_LATER
        } else {
            LOOK_AGAIN
        });
        before = std::mem::take(&mut now.findings);
        check.books.catch_up(&check.files, &|_, _| ())?;
        now = check.look_at_everything(&|_, _| ())?;
        looks += 1;
    }
    let before: HashSet<_> = before.iter().map(identity).collect();
    let mut findings = std::mem::take(&mut now.findings);
    findings.retain(|finding| before.contains(&identity(finding)));
    check.name_events(&mut findings)?;
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.code.severity()), finding.code));
    let further = findings.len().saturating_sub(FINDINGS_MAX) as u64;
    findings.truncate(FINDINGS_MAX);
    Ok(Checked {
        log: check.files.identity(),
        head: check.horizon,
        events: check.books.events(),
        open: check.books.open().len() as u64,
        readable: now.readable.len() as u64,
        lost: now.lost,
        closed: check.books.closed(),
        looks,
        findings,
        further,
    })
}

/// A check under way.
struct Check<'a> {
    files: DataFolderLook,
    folder: &'a Path,
    clock: &'a dyn Clock,
    /// How far the snapshot of the projections is, if there is one.
    snapshot: Option<Position>,
    books: Books,
    /// The end of the log at the first look.
    horizon: Position,
}

impl Check<'_> {
    fn look_at_everything(&self, progress: &dyn Fn(u64, u64)) -> Result<Look, BooksError> {
        let mut look = Look::default();
        let mut take = |remnant: &Remnant<'_>| self.take(&mut look, remnant);
        self.files.inspect_payloads(&mut take, progress)?;
        self.look_at_open(&mut look)?;
        for (id, position) in self.books.not_erased() {
            let reason = format!(
                "the events close the payload of the event at position {position}, and no batch of the log erases it"
            );
            look.findings.push(Finding {
                payload: Some(id),
                ..Finding::new(FindingCode::ErasureNotRecorded, reason)
            });
        }
        self.look_at_snapshot(&mut look);
        other_files::look_at(
            &self.files,
            self.folder,
            self.clock.now(),
            &mut look.findings,
        )?;
        Ok(look)
    }

    fn take(&self, look: &mut Look, remnant: &Remnant<'_>) {
        let mut found = |code, slot, id, reason: String| {
            look.findings.push(Finding {
                code,
                file: Some(remnant.file.to_owned()),
                offset: Some(remnant.offset),
                slot,
                payload: id,
                event: None,
                reason,
            });
        };
        match &remnant.what {
            Content::Key { slot, id, position } => {
                if !self.is_open(id, *position) && !self.has_changed(id) {
                    let reason = format!("the key in slot {slot} belongs to a closed payload");
                    found(FindingCode::KeyNotDestroyed, Some(*slot), Some(*id), reason);
                }
            }
            Content::DamagedSlot { slot } => {
                let reason = format!("slot {slot} is neither free nor a key");
                found(FindingCode::SlotDamaged, Some(*slot), None, reason);
            }
            Content::Ciphertext {
                id,
                position,
                slot,
                opened,
            } => self.take_ciphertext(look, remnant, (*id, *position, *slot), *opened),
            Content::Stray { bytes } => {
                let reason = format!("{bytes} bytes belong to no ciphertext");
                found(FindingCode::StrayBytes, None, None, reason);
            }
            Content::ForeignFile => {
                let reason = "it does not belong to the payloads of this log".to_owned();
                found(FindingCode::ForeignFile, None, None, reason);
            }
        }
    }

    fn take_ciphertext(
        &self,
        look: &mut Look,
        remnant: &Remnant<'_>,
        (id, position, slot): (PayloadId, Position, u32),
        opened: Opened<'_>,
    ) {
        let finding = |code, reason: String| Finding {
            file: Some(remnant.file.to_owned()),
            offset: Some(remnant.offset),
            slot: Some(slot),
            payload: Some(id),
            ..Finding::new(code, reason)
        };
        if let Some(payload) = self.open_payload(&id, position) {
            match judge(payload, opened) {
                Ok(()) => {
                    look.readable.insert(id);
                }
                Err((code, reason)) => {
                    look.troubles.insert(id, finding(code, reason));
                }
            }
            return;
        }
        if self.has_changed(&id) {
            return;
        }
        if matches!(opened, Opened::Payload(_)) {
            let reason = "a closed payload can be read: its key and its bytes are there".to_owned();
            look.findings
                .push(finding(FindingCode::ClosedReadable, reason));
            return;
        }
        look.is_early |= self.has_time(&id);
        let grace = BYTES_GRACE.as_secs();
        let reason = format!(
            "the ciphertext of a closed payload is there more than {grace} s after it was closed"
        );
        look.findings.push(finding(FindingCode::BytesLeft, reason));
    }

    fn is_open(&self, id: &PayloadId, position: Position) -> bool {
        self.open_payload(id, position).is_some()
    }

    fn open_payload(&self, id: &PayloadId, position: Position) -> Option<&OpenPayload> {
        let open = self.books.open().get(id);
        open.filter(|open| open.event.position == position)
    }

    /// Whether it was closed after the first look: the next check is about it.
    fn has_changed(&self, id: &PayloadId) -> bool {
        let closing = self.books.closing(id);
        closing.is_some_and(|closing| closing.position > self.horizon)
    }

    /// Whether its bytes may still be there.
    fn has_time(&self, id: &PayloadId) -> bool {
        let closing = self.books.closing(id);
        closing.is_some_and(|closing| self.clock.now() < closing.at.plus(BYTES_GRACE))
    }

    /// Every open payload must be there, unless a restore has told that it is lost.
    fn look_at_open(&self, look: &mut Look) -> Result<(), BooksError> {
        let lost: HashSet<_> = self.files.lost()?.into_iter().collect();
        let erased: HashSet<_> = self.books.erased_too_early().map(|(id, _)| id).collect();
        for (id, open) in self.books.open() {
            let position = open.event.position;
            if look.readable.contains(id) || position > self.horizon {
                continue;
            }
            if lost.contains(&(*id, position)) {
                look.lost += 1;
                continue;
            }
            let trouble = look.troubles.remove(id);
            let finding = if erased.contains(id) {
                let reason = "the log erases a payload that its events have not closed";
                Finding::new(FindingCode::OpenErased, reason)
            } else {
                trouble.unwrap_or_else(|| {
                    let reason = "an open payload is in none of the files of ciphertexts";
                    Finding::new(FindingCode::OpenMissing, reason)
                })
            };
            look.findings.push(Finding {
                payload: Some(*id),
                event: Some(open.event.clone()),
                ..finding
            });
        }
        Ok(())
    }

    /// Watched scripts and push targets stay in the snapshot of the projections until the next one.
    fn look_at_snapshot(&self, look: &mut Look) {
        let Some(snapshot) = self.snapshot else {
            return;
        };
        let now = self.clock.now();
        let keep = SnapshotPolicy::default().interval + BYTES_GRACE;
        let overdue = self.books.closings().filter(|closing| {
            let is_behind = closing.position > snapshot && closing.position <= self.horizon;
            closing.is_sealed_part && is_behind && now >= closing.at.plus(keep)
        });
        let count = overdue.count();
        if count > 0 {
            let minutes = SnapshotPolicy::default().interval.as_secs() / 60;
            let reason = format!(
                "the snapshot ends at position {snapshot}; {count} watched scripts or push targets were closed after it, more than {minutes} minutes ago"
            );
            look.findings.push(Finding {
                file: Some(self.folder.join("projections")),
                ..Finding::new(FindingCode::SnapshotOverdue, reason)
            });
        }
    }

    /// Says to which event each finding belongs. What belongs to none is an orphan.
    fn name_events(&self, findings: &mut [Finding]) -> Result<(), BooksError> {
        let unnamed = findings.iter().filter(|finding| finding.event.is_none());
        let payloads: Vec<_> = unnamed.filter_map(|finding| finding.payload).collect();
        if payloads.is_empty() {
            return Ok(());
        }
        let events = find_events(&self.files, &payloads)?;
        for finding in findings
            .iter_mut()
            .filter(|finding| finding.event.is_none())
        {
            let Some(id) = finding.payload else {
                continue;
            };
            finding.event = events.get(&id).cloned();
            if finding.event.is_some() {
                continue;
            }
            (finding.code, finding.reason) = match finding.code {
                FindingCode::KeyNotDestroyed => (
                    FindingCode::OrphanKey,
                    "the key belongs to no event of the log".to_owned(),
                ),
                FindingCode::BytesLeft | FindingCode::ClosedReadable => (
                    FindingCode::OrphanBytes,
                    "the ciphertext belongs to no event of the log".to_owned(),
                ),
                code => (code, std::mem::take(&mut finding.reason)),
            };
        }
        Ok(())
    }
}

/// Whether an open payload is what its event says.
fn judge(payload: &OpenPayload, opened: Opened<'_>) -> Result<(), (FindingCode, String)> {
    match opened {
        Opened::Payload(bytes) => match payload.digest {
            Some(digest) if sha256(bytes) != digest => Err((
                FindingCode::OpenDiffers,
                "an open payload does not have the digest in its event".to_owned(),
            )),
            _ => Ok(()),
        },
        Opened::Keyless => Err((
            FindingCode::OpenDamaged,
            "the key of an open payload is not there".to_owned(),
        )),
        Opened::Broken(reason) => Err((
            FindingCode::OpenDamaged,
            format!("an open payload cannot be read: {reason}"),
        )),
    }
}

/// How many findings of each code there are.
#[must_use]
pub fn counts(findings: &[Finding]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.code.as_str()).or_default() += 1;
    }
    counts
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[allow(
    clippy::disallowed_methods,
    reason = "waits for another process, which cannot tell when it is done"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
