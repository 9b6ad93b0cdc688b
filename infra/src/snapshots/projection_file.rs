//! One save as a `redb` file: every projection in one transaction.
//!
//! ```text
//! snapshot-<SHA-256 of the file>.redb
//!   format       "format"      -> 1
//!   projections  name          -> postcard: version, position, log, length, chunks, SHA-256 of the state
//!   chunks       (name, index) -> up to 60 KiB of the state
//! ```
//! `redb` trusts its pages when it reads, so the file is named by its digest, and a file that does
//! not have the digest it is named by is never handed to `redb`.
//!
//! A save is always a new file. A page that a transaction gives up keeps its bytes until it is used
//! again; in a file that has seen one transaction there is no such page, so what was erased before
//! a save is not in its file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use satpost_domain::Position;
use satpost_domain::hash::sha256;
use satpost_domain::ids::Digest;
use satpost_event_store::LogIdentity;
use satpost_projections::read_model::ProjectionSnapshot;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const FORMAT: u64 = 1;
const FORMATS: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
const PROJECTIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("projections");
const CHUNKS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("chunks");

/// Together with its key it fits a page of 64 KiB; pages have sizes of powers of two.
const CHUNK_BYTES: usize = 60 * 1024;
/// How much of a file `redb` holds in memory.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The name of a file while it is written.
const PARTIAL: &str = "snapshot.partial";

/// What a file tells.
pub(super) struct SavedFile {
    /// The log it was made from.
    pub(super) log: LogIdentity,
    /// The projections in it, and why some of them cannot be used.
    pub(super) projections: Vec<Result<ProjectionSnapshot, Unusable>>,
}

/// A projection whose bytes are not what was saved.
pub(super) struct Unusable {
    pub(super) name: String,
    pub(super) reason: String,
}

#[derive(Serialize, Deserialize)]
struct StoredProjection {
    version: u32,
    position: Position,
    log: [u8; 16],
    length: u64,
    chunks: u32,
    digest: Digest,
}

/// The files of saves in `folder`, the latest first. A folder that is not there has none.
pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "redb")
        {
            files.push((path.metadata()?.modified()?, path));
        }
    }
    files.sort_unstable();
    Ok(files.into_iter().rev().map(|(_, path)| path).collect())
}

/// Writes a save beside the one before, and then removes everything else in `folder`: older saves,
/// and what a crash or an older server left there. After a power cut at any moment one whole save
/// is there, if there was one before.
pub(super) fn write(
    folder: &Path,
    log: LogIdentity,
    snapshots: &[ProjectionSnapshot],
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let partial = folder.join(PARTIAL);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    fill(file.try_clone()?, log, snapshots).map_err(io::Error::other)?;
    file.sync_all()?;
    let path = folder.join(file_name(&digest(&mut file)?));
    fs::rename(&partial, &path)?;
    File::open(folder)?.sync_all()?;
    for entry in fs::read_dir(folder)? {
        let other = entry?;
        if other.path() != path && other.file_type()?.is_file() {
            fs::remove_file(other.path())?;
        }
    }
    File::open(folder)?.sync_all()?;
    Ok(path)
}

fn fill(file: File, log: LogIdentity, snapshots: &[ProjectionSnapshot]) -> Result<(), redb::Error> {
    let database: Database = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    {
        transaction.open_table(FORMATS)?.insert("format", FORMAT)?;
        let mut projections = transaction.open_table(PROJECTIONS)?;
        let mut chunks = transaction.open_table(CHUNKS)?;
        for snapshot in snapshots {
            let name = snapshot.name.as_str();
            let mut count = 0;
            for chunk in snapshot.bytes.chunks(CHUNK_BYTES) {
                chunks.insert((name, count), chunk)?;
                count += 1;
            }
            let stored = StoredProjection {
                version: snapshot.version,
                position: snapshot.position,
                log: log.0,
                length: snapshot.bytes.len() as u64,
                chunks: count,
                digest: sha256(&snapshot.bytes),
            };
            let stored = postcard::to_stdvec(&stored)
                .expect("a record of fixed fields always has a postcard form");
            projections.insert(name, stored.as_slice())?;
        }
    }
    transaction.commit()?;
    database.close()?;
    Ok(())
}

/// Reads a save, or says why it cannot be used. `Ok(None)` when another save has taken its place.
pub(super) fn read(path: &Path) -> Result<Option<SavedFile>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let digest = digest(&mut file).map_err(|error| error.to_string())?;
    if path
        .file_name()
        .is_none_or(|name| *name != *file_name(&digest))
    {
        return Err("it is damaged: it does not have the digest in its name".to_owned());
    }
    read_whole(file)
        .map_err(|error| error.to_string())?
        .map(Some)
}

/// The outer error is one of `redb`, the inner one of ours.
fn read_whole(file: File) -> Result<Result<SavedFile, String>, redb::Error> {
    let database = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .open_read_only_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_read()?;
    let format = transaction
        .open_table(FORMATS)?
        .get("format")?
        .map_or(0, |format| format.value());
    if format != FORMAT {
        return Ok(Err(format!(
            "it has format {format}, this server knows {FORMAT}"
        )));
    }
    let chunks = transaction.open_table(CHUNKS)?;
    let mut log = None;
    let mut found = Vec::new();
    for entry in transaction.open_table(PROJECTIONS)?.iter()? {
        let (name, stored) = entry?;
        let name = name.value().to_owned();
        let Ok(stored) = postcard::from_bytes::<StoredProjection>(stored.value()) else {
            return Ok(Err(format!("what it tells of {name} is not understood")));
        };
        if *log.get_or_insert(stored.log) != stored.log {
            return Ok(Err("its projections come from several logs".to_owned()));
        }
        let mut bytes = Vec::new();
        for index in 0..stored.chunks {
            if let Some(chunk) = chunks.get((name.as_str(), index))? {
                bytes.extend_from_slice(chunk.value());
            }
        }
        found.push(checked(name, &stored, bytes));
    }
    Ok(match log {
        Some(log) => Ok(SavedFile {
            log: LogIdentity(log),
            projections: found,
        }),
        None => Err("it holds no projection".to_owned()),
    })
}

fn checked(
    name: String,
    stored: &StoredProjection,
    bytes: Vec<u8>,
) -> Result<ProjectionSnapshot, Unusable> {
    if bytes.len() as u64 != stored.length || sha256(&bytes) != stored.digest {
        return Err(Unusable {
            name,
            reason: "its state does not have the digest it was saved with".to_owned(),
        });
    }
    Ok(ProjectionSnapshot {
        name,
        version: stored.version,
        position: stored.position,
        bytes,
    })
}

fn file_name(digest: &Digest) -> String {
    format!("snapshot-{digest}.redb")
}

/// SHA-256 of all of `file`, which is left at its beginning.
fn digest(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    file.rewind()?;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    file.rewind()?;
    Ok(Digest::new(hasher.finalize().into()))
}
