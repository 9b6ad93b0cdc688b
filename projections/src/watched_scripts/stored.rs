//! The snapshot: what each client watches, in the order in which it was watched.
//!
//! Consecutive entries whose ids count and that have everything else in common are stored as a run. Which
//! runs there are is worked out anew for each snapshot, so that it does not show how the list came about.

use satpost_domain::chain::DepthSet;
use satpost_domain::ids::ScriptHash;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{Birthday, WatchOptions, WatchTarget};
use satpost_domain::{ClientId, Timestamp, WatchId};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Serialize, Serializer};

use super::WatchedScripts;
use super::client_list::{ClientList, Terms};
use crate::projection::SnapshotError;
use crate::snapshot::{from_bytes, to_bytes};

/// How many back-fills have begun, whether the last is not complete, and the lists by ascending client.
type Stored = ((u32, bool), Vec<StoredList>);

#[derive(Serialize, Deserialize)]
struct StoredList {
    client: ClientId,
    runs: Vec<StoredRun>,
}

#[derive(Serialize, Deserialize)]
struct StoredRun {
    common: [u8; WatchId::COMMON_BYTES],
    depths: Vec<u32>,
    birthday: Option<StoredBirthday>,
    watched_at: Timestamp,
    passes_before: u32,
    /// The place in the id of the first entry, and for each further one how much higher it is.
    places: Vec<u32>,
    /// For each entry a byte with the length of the script, or 0 before a hash; then its bytes.
    targets: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum StoredBirthday {
    Height(u32),
    Time(Timestamp),
}

/// One list after another, so that not all of them are in memory twice.
struct Streamed<'a>(&'a WatchedScripts);

impl Serialize for Streamed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&(self.0.passes, self.0.is_reading))?;
        tuple.serialize_element(&StreamedLists(self.0))?;
        tuple.end()
    }
}

struct StreamedLists<'a>(&'a WatchedScripts);

impl Serialize for StreamedLists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lists = self.0.lists.sorted();
        serializer.collect_seq(lists.iter().map(|list| stored_list(self.0, list)))
    }
}

fn stored_list(scripts: &WatchedScripts, list: &ClientList) -> StoredList {
    let mut runs: Vec<StoredRun> = Vec::new();
    let mut last = None;
    for (number, slot) in list.entries() {
        let (common, place) = list.id(number).parts();
        let terms = Terms {
            options: list.options(number),
            ..list.terms(number)
        };
        let further = match last {
            Some((last_common, last_place, last_terms))
                if (last_common, last_terms) == (common, terms) =>
            {
                place.checked_sub(last_place)
            }
            _ => None,
        };
        last = Some((common, place, terms));
        match (further, runs.last_mut()) {
            (Some(further), Some(run)) => run.places.push(further),
            _ => runs.push(StoredRun::begin(common, place, &terms)),
        }
        if let Some(run) = runs.last_mut() {
            push_target(&mut run.targets, &scripts.place(slot));
        }
    }
    StoredList {
        client: list.client(),
        runs,
    }
}

fn push_target(targets: &mut Vec<u8>, (is_hash, bytes): &(bool, crate::script_table::ScriptBytes)) {
    let length = u8::try_from(bytes.len()).expect("a watched script has at most 128 bytes");
    targets.push(if *is_hash { 0 } else { length });
    targets.extend_from_slice(bytes);
}

impl StoredRun {
    fn begin(common: [u8; WatchId::COMMON_BYTES], place: u32, terms: &Terms) -> Self {
        Self {
            common,
            depths: terms.options.depths.iter().collect(),
            birthday: terms.options.birthday.map(|birthday| match birthday {
                Birthday::Height(height) => StoredBirthday::Height(height),
                Birthday::Time(at) => StoredBirthday::Time(at),
            }),
            watched_at: terms.watched_at,
            passes_before: terms.passes_before,
            places: vec![place],
            targets: Vec::new(),
        }
    }

    fn terms(&self) -> Result<Terms, SnapshotError> {
        Ok(Terms {
            options: WatchOptions {
                depths: DepthSet::new(self.depths.iter().copied()).map_err(damaged)?,
                birthday: self.birthday.map(|birthday| match birthday {
                    StoredBirthday::Height(height) => Birthday::Height(height),
                    StoredBirthday::Time(at) => Birthday::Time(at),
                }),
            },
            watched_at: self.watched_at,
            passes_before: self.passes_before,
        })
    }

    /// Ids and targets.
    fn entries(&self) -> Result<Vec<(WatchId, WatchTarget)>, SnapshotError> {
        let mut common = [0; 16];
        common[..WatchId::COMMON_BYTES].copy_from_slice(&self.common);
        let mut targets = self.targets.as_slice();
        let mut place = 0_u32;
        let mut entries = Vec::with_capacity(self.places.len());
        for further in &self.places {
            place = place
                .checked_add(*further)
                .ok_or_else(|| damaged("an id counts too far"))?;
            let (target, rest) = take_target(targets)?;
            targets = rest;
            entries.push((WatchId::new(common).at_place(place), target));
        }
        Ok(entries)
    }
}

fn take_target(bytes: &[u8]) -> Result<(WatchTarget, &[u8]), SnapshotError> {
    let cut = || damaged("a run ends before its last script");
    let (length, rest) = bytes.split_first().ok_or_else(cut)?;
    if *length == 0 {
        let (hash, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        return Ok((ScriptHash::new(*hash).into(), rest));
    }
    let (script, rest) = rest.split_at_checked((*length).into()).ok_or_else(cut)?;
    Ok((Script::new(script).map_err(damaged)?.into(), rest))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "used with map_err, which hands over the error"
)]
fn damaged(what: impl ToString) -> SnapshotError {
    SnapshotError {
        reason: what.to_string(),
    }
}

pub(super) fn snapshot(scripts: &WatchedScripts) -> Vec<u8> {
    to_bytes(&Streamed(scripts))
}

pub(super) fn restore(bytes: &[u8]) -> Result<WatchedScripts, SnapshotError> {
    let ((passes, is_reading), lists) = from_bytes::<Stored>(bytes)?;
    let mut scripts = WatchedScripts {
        passes,
        is_reading,
        ..WatchedScripts::default()
    };
    for list in lists {
        for run in list.runs {
            let terms = run.terms()?;
            for (id, target) in run.entries()? {
                scripts.watch(list.client, id, &target, terms);
            }
        }
    }
    Ok(scripts)
}

/// The back-fills, and for each client its entries with all they have.
pub(super) fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
    let ((passes, is_reading), lists) = from_bytes::<Stored>(bytes)?;
    let lists = lists
        .iter()
        .map(|list| {
            let mut entries = Vec::new();
            for run in &list.runs {
                for (id, target) in run.entries()? {
                    entries.push(serde_json::json!({
                        "id": id,
                        "script": target.script().map(|script| to_hex(script.as_bytes())),
                        "script_hash": target.hash(),
                        "depths": run.depths,
                        "birthday": run.birthday,
                        "watched_at": run.watched_at,
                        "passes_before": run.passes_before,
                    }));
                }
            }
            Ok(serde_json::json!({ "client": list.client, "entries": entries }))
        })
        .collect::<Result<Vec<_>, SnapshotError>>()?;
    Ok(serde_json::json!({ "backfills": passes, "backfill_runs": is_reading, "lists": lists }))
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
