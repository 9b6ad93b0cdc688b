//! What a run costs: processor time, memory, and bytes on the disk.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::BenchError;

/// How many ticks of `/proc/<pid>/stat` a second has on Linux (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
/// How much of a file is looked at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The processor time in seconds that a process and everything it started have used, user and
/// system together. A process that is gone has used nothing.
#[must_use]
pub fn processor_seconds(process: u32) -> f64 {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut ticks = HashMap::new();
    for (id, stat) in all_processes() {
        children.entry(stat.parent).or_default().push(id);
        ticks.insert(id, stat.ticks);
    }
    let (mut total, mut left) = (0, vec![process]);
    while let Some(id) = left.pop() {
        total += ticks.get(&id).copied().unwrap_or(0);
        left.extend(children.remove(&id).unwrap_or_default());
    }
    total as f64 / TICKS_PER_SECOND
}

/// The memory of this process that is in use, from `/proc/self/statm` (proc(5)): its second number is
/// in pages of 4 KiB.
#[must_use]
pub fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(f64::NAN) * 4096.0
}

struct Stat {
    parent: u32,
    /// Its own and those of children that it has waited for.
    ticks: u64,
}

fn all_processes() -> Vec<(u32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((id, parse_stat(&text)?))
        })
        .collect()
}

/// `pid (name) state ppid …`, where the name may hold anything. See proc_pid_stat(5).
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks.sum::<Result<u64, _>>().ok()?,
    })
}

/// How many bytes the files of a folder hold, each up to its last byte that is not zero: files are
/// often prepared ahead, by ours and by others, and a short run must not pay for that.
///
/// # Errors
/// What the operating system says.
pub fn bytes_used(folder: &Path) -> Result<u64, BenchError> {
    let entries = std::fs::read_dir(folder).map_err(BenchError::io("list", folder))?;
    let mut total = 0;
    for entry in entries {
        let path = entry.map_err(BenchError::io("list", folder))?.path();
        total += if path.is_dir() {
            bytes_used(&path)?
        } else {
            without_zeros_behind(&path).map_err(BenchError::io("read", &path))?
        };
    }
    Ok(total)
}

/// How many files there are in a folder and in those within.
///
/// # Errors
/// What the operating system says.
pub fn files(folder: &Path) -> Result<u64, BenchError> {
    let entries = std::fs::read_dir(folder).map_err(BenchError::io("list", folder))?;
    let mut total = 0;
    for entry in entries {
        let path = entry.map_err(BenchError::io("list", folder))?.path();
        total += if path.is_dir() { files(&path)? } else { 1 };
    }
    Ok(total)
}

fn without_zeros_behind(path: &Path) -> io::Result<u64> {
    if !path.is_file() {
        return Ok(0);
    }
    let file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK_BYTES];
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let part = &mut chunk[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_behind_the_last_byte_are_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let mut bytes = vec![0; CHUNK_BYTES * 3];
        bytes[CHUNK_BYTES + 6] = 1;
        std::fs::write(inner.join("segment"), &bytes).unwrap();
        std::fs::write(folder.path().join("zeros"), vec![0; 10]).unwrap();
        assert_eq!(bytes_used(folder.path()).unwrap(), CHUNK_BYTES as u64 + 7);
    }

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_confuse() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 0 0 0 0 0 10 20 30 40 20 0 1";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (3, 100));
    }

    #[test]
    fn work_shows_in_the_processor_time() {
        let before = processor_seconds(std::process::id());
        let start = std::time::Instant::now();
        let mut sum = 0_u64;
        while start.elapsed() < std::time::Duration::from_millis(200) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_seconds(std::process::id()) > before);
    }
}
