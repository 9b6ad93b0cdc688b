//! Which files belong into the folders of the log and of the payloads, and which do not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::embedded::{clean_mark, segment};
use crate::payload_store::{blob_segment, key_file};
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Disk, OpenError, Storage as _};

/// The segments in the folder of the log, by number. Gaps and foreign files are findings.
pub(in crate::embedded) fn segments(
    folder: &Path,
    findings: &mut Findings,
) -> Result<BTreeMap<u32, PathBuf>, OpenError> {
    let mut segments = BTreeMap::new();
    let mut others = Vec::new();
    for path in Disk.list(folder).map_err(OpenError::io("list", folder))? {
        match segment::number(&path) {
            Some(number) if path == segment::path(folder, number) && number > 0 => {
                segments.insert(number, path);
            }
            _ => others.push(path),
        }
    }
    for path in others {
        let belongs = is_made_of_a_segment(&path, &segments)
            || FilePreparer::is_left_over(&path)
            || clean_mark::is_mark(&path);
        if !belongs {
            findings.add(&path, 0, "this file does not belong into the log");
        }
    }
    let last = segments.last_key_value().map_or(1, |(number, _)| *number);
    let missing = (1..=last).filter(|number| !segments.contains_key(number));
    for number in missing {
        let path = segment::path(folder, number);
        findings.add(
            &path,
            0,
            format!("segment {number} of the log is not there"),
        );
    }
    Ok(segments)
}

/// Index files are made of segments and may be made again at any time: `<number>.idx`, and with a
/// further extension while they are being written.
fn is_made_of_a_segment(path: &Path, segments: &BTreeMap<u32, PathBuf>) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some((number, extension)) = name.and_then(|name| name.split_once('.')) else {
        return false;
    };
    let belongs = number
        .parse()
        .is_ok_and(|number| segments.contains_key(&number));
    belongs && (extension == "idx" || extension.starts_with("idx."))
}

/// The blob segments in the folder of the payloads.
pub(in crate::embedded) fn blobs(
    folder: &Path,
    findings: &mut Findings,
) -> Result<Vec<(u32, PathBuf)>, OpenError> {
    let mut blobs = Vec::new();
    for path in Disk.list(folder).map_err(OpenError::io("list", folder))? {
        let name = path.file_name().and_then(|name| name.to_str());
        let is_keys = name.is_some_and(|name| name == key_file::NAME || name == key_file::UNNAMED);
        if let Some(number) = blob_segment::number(&path) {
            blobs.push((number, path));
        } else if !is_keys && !FilePreparer::is_left_over(&path) {
            findings.add(&path, 0, "this file does not belong to the payloads");
        }
    }
    Ok(blobs)
}
