//! What else in the data folder could hold a payload: copies of the payload store's files, and saves
//! of the projections that should have gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use satpost_domain::Timestamp;
use satpost_event_store::embedded::OpenError;
use satpost_event_store::embedded::erasure::DataFolderLook;

use super::check::BYTES_GRACE;
use super::finding::{Finding, FindingCode};

/// Folders whose files are looked at elsewhere, and one that holds public blocks only and may be very
/// large.
const OWN: [&str; 3] = ["log", "payloads", "esplora"];
/// The folder of the snapshots.
const SNAPSHOTS: &str = "projections";

/// Looks through every file of the data folder outside of the log and the payload store.
pub(super) fn look_at(
    look: &DataFolderLook,
    folder: &Path,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<(), OpenError> {
    for path in files(folder)? {
        if let Some(offset) = look.copy_of_payloads_in(&path)? {
            let reason = "it holds keys or ciphertexts of payloads, and no erasure reaches it";
            findings.push(Finding {
                file: Some(path),
                offset: Some(offset),
                ..Finding::new(FindingCode::CopyOfPayloads, reason)
            });
        }
    }
    let mut saves = in_folder(&folder.join(SNAPSHOTS))?;
    saves.retain(|path| path.is_file());
    // The newest one is in use.
    saves.sort_by_key(|path| {
        (
            is_save(path),
            path.metadata().and_then(|m| m.modified()).ok(),
        )
    });
    let in_use = saves.pop_if(|newest| is_save(newest));
    // A server may be at work on the others.
    saves.retain(|path| !is_young(path, now));
    for path in saves {
        let reason = match &in_use {
            Some(newest) => format!("{} has taken its place", newest.display()),
            None => "it is no snapshot".to_owned(),
        };
        findings.push(Finding {
            file: Some(path),
            ..Finding::new(FindingCode::SnapshotLeft, reason)
        });
    }
    Ok(())
}

/// Whether a file was changed within the time that bytes may stay.
fn is_young(path: &Path, now: Timestamp) -> bool {
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    let age = modified.map(|at| {
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(now.as_millis()).saturating_sub(at)
    });
    age.is_ok_and(|age| age < BYTES_GRACE)
}

fn is_save(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "redb")
}

/// Every file below `folder` but those of the log and of the payload store.
fn files(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    let first = in_folder(folder)?.into_iter();
    let mut paths: Vec<_> = first
        .filter(|path| OWN.iter().all(|own| !path.ends_with(own)))
        .collect();
    loop {
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
        let Some(next) = folders.pop() else {
            return Ok(files);
        };
        paths = in_folder(&next)?;
    }
}

/// The paths in a folder; none in one that is not there, or went meanwhile.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|source| OpenError::Io {
            action: "list",
            path: folder.to_owned(),
            source,
        }),
    }
}
