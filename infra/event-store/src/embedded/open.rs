//! Opens the embedded log: to write, with everything that must be brought in order first, or only
//! to read, beside a process that writes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::clean_mark;
use super::data_folder::{self, FolderKind, LogId};
use super::frame::{self, FrameBuilder};
use super::gathering::Gathering;
use super::index_folder::IndexFolder;
use super::last_segment::Last;
use super::lost_payloads;
use super::recovery::{self, Recovered};
use super::segment::{self, RollError, SegmentHeader, SegmentWriter};
use super::writer::{Batch, Writer};
use super::{EmbeddedEventStore, EmbeddedOptions, Shared};
use crate::follow::TailState;
use crate::payload_store;
use crate::payload_store::blob_segment;
use crate::payload_store::recovery::WriteOptions;
use crate::storage::file_preparer::FilePreparer;
use crate::storage::{Access, Disk, OpenError, Storage};

/// The longest file, so that a place in it fits 32 bits with room to spare.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The shortest file of the log: one of the largest events fits.
const SEGMENT_BYTES_MIN: u64 = 256 * 1024;
/// The shortest file of payloads: a few of the largest fit.
pub(crate) const BLOB_SEGMENT_BYTES_MIN: u64 = 256 * 1024;

impl EmbeddedEventStore {
    /// Opens the log to write, and makes the folder when it is not there. Reads the last file of the
    /// log and the index files of the others, so call it where it may block.
    ///
    /// # Errors
    /// [`OpenError`]. A damaged log is not opened, and nothing in it is changed.
    pub fn open(options: &EmbeddedOptions) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Disk), options)
    }

    /// Opens the log to read, also while another process writes it. Shows what was there when it
    /// was opened (which may include a batch that is about to become durable), takes no lock and
    /// changes nothing. Followers end when they have caught up.
    ///
    /// # Errors
    /// [`OpenError`]. A folder that is not there is not made.
    pub fn open_read_only(options: &EmbeddedOptions) -> Result<Self, OpenError> {
        let (storage, folder): (Arc<dyn Storage>, _) = (Arc::new(Disk), options.folder.as_path());
        let log_id =
            data_folder::read_format(&*storage, folder, FolderKind::Data)?.ok_or_else(|| {
                OpenError::Absent {
                    folder: folder.to_owned(),
                }
            })?;
        let log = folder.join(segment::FOLDER);
        let mut recovered = recovery::recover(&storage, &log, &log_id, Access::Read)?;
        lost_payloads::read(folder, &log_id)?.take_out_of(&mut recovered.living);
        let payloads = payload_store::recovery::open_read_only(
            &*storage,
            &folder.join(payload_store::FOLDER),
            &log_id,
            &recovered.living,
        )?;
        Ok(Self {
            shared: Arc::new(Shared::new(
                recovered.index,
                payloads,
                recovered.chain,
                TailState::ReadOnly,
            )),
            log_id,
            records_max: 0,
            payloads_max: 0,
            queue: None,
            writer: None,
            _lock: None,
        })
    }

    /// Opens the log on any storage.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(
        storage: Arc<dyn Storage>,
        options: &EmbeddedOptions,
    ) -> Result<Self, OpenError> {
        check(options)?;
        let folder = options.folder.as_path();
        let lock = data_folder::lock(folder)?;
        let log_id = match data_folder::read_format(&*storage, folder, FolderKind::Data)? {
            Some(log_id) => log_id,
            None => make_folder(&storage, options)?,
        };
        let log = folder.join(segment::FOLDER);
        let payloads = folder.join(payload_store::FOLDER);
        data_folder::settle_names(&*storage, folder, [&log, &payloads])?;
        let Recovered {
            index,
            mut living,
            chain,
            last,
            files,
            untrimmed,
        } = recovery::recover(&storage, &log, &log_id, Access::ReadWrite)?;
        lost_payloads::read(folder, &log_id)?.take_out_of(&mut living);
        if !last.clean {
            clean_mark::remove(&*storage, &log)?;
            last.settle()?;
        }
        let (payload_writer, payload_index) = payload_store::recovery::open(
            Arc::clone(&storage),
            &payloads,
            log_id,
            WriteOptions {
                segment_bytes: options.blob_segment_bytes,
                scrub_every: options.scrub_every,
            },
            &living,
        )?;
        drop(living);
        // From here on the log is written.
        clean_mark::remove(&*storage, &log)?;
        tracing::info!(
            log.position = index.head(),
            log.streams = index.streams(),
            log.payloads = payload_index.len(),
            "opened the event log"
        );
        let next_position = index.head() + 1;
        let (queue, requests) = mpsc::channel(options.queue_appends);
        let shared = Arc::new(Shared::new(index, payload_index, chain, TailState::Live));
        let told = Arc::clone(&shared);
        payload_writer.when_failed(Box::new(move |reason| told.stop(reason)));
        let segments = segment_writer(storage, options, log_id, last, files)?;
        for (full, end) in &untrimmed {
            segments.trim(full, *end);
        }
        let writer = Writer {
            queue: requests,
            segments,
            payloads: payload_writer,
            shared: Arc::clone(&shared),
            chain,
            batch: Batch::new(FrameBuilder::new(log_id), next_position),
            gathering: Gathering::default(),
        };
        let thread = std::thread::Builder::new()
            .name("event-log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io("start the writer of", folder))?;
        Ok(Self {
            shared,
            log_id,
            records_max: largest(options.segment_bytes, segment::HEADER_BYTES)
                - frame::OVERHEAD_BYTES
                - satpost_domain::limits::ERASURES_PER_APPEND_MAX * frame::ERASURE_BYTES,
            payloads_max: largest(
                options.blob_segment_bytes,
                blob_segment::SEGMENT_HEADER_BYTES,
            ),
            queue: Some(queue),
            writer: Some(thread),
            _lock: Some(lock),
        })
    }
}

/// What fits into a file behind its header.
fn largest(file_bytes: u64, header_bytes: usize) -> usize {
    usize::try_from(file_bytes).unwrap_or(usize::MAX) - header_bytes
}

fn check(options: &EmbeddedOptions) -> Result<(), OpenError> {
    let ranges = [
        ("segment_bytes", options.segment_bytes, SEGMENT_BYTES_MIN),
        (
            "blob_segment_bytes",
            options.blob_segment_bytes,
            BLOB_SEGMENT_BYTES_MIN,
        ),
    ];
    for (name, value, min) in ranges {
        if !(min..=FILE_BYTES_MAX).contains(&value) {
            return Err(OpenError::Options {
                reason: format!("{name} is {value}, and may be {min} to {FILE_BYTES_MAX}"),
            });
        }
    }
    if options.queue_appends == 0 {
        return Err(OpenError::Options {
            reason: "queue_appends is 0".to_owned(),
        });
    }
    Ok(())
}

/// Makes a new data folder with an empty log.
fn make_folder(storage: &Arc<dyn Storage>, options: &EmbeddedOptions) -> Result<LogId, OpenError> {
    let folder = options.folder.as_path();
    let log = folder.join(segment::FOLDER);
    let log_id = data_folder::begin(&**storage, folder, FolderKind::Data)?;
    data_folder::make_inner(&**storage, &log)?;
    data_folder::make_inner(&**storage, &folder.join(payload_store::FOLDER))?;
    let preparer = preparer(storage, &log, options.segment_bytes, true)?;
    let header = SegmentHeader {
        number: 1,
        first: 1,
        previous: [0; 32],
    };
    segment::begin(&**storage, &preparer, &log, &log_id, header).map_err(|error| {
        let (RollError::NoSpace(error) | RollError::Failed(error)) = error;
        OpenError::io("make the first segment of", &log)(error)
    })?;
    data_folder::finish(&**storage, folder)?;
    Ok(log_id)
}

fn preparer(
    storage: &Arc<dyn Storage>,
    folder: &Path,
    bytes: u64,
    eager: bool,
) -> Result<FilePreparer, OpenError> {
    let started: io::Result<_> = FilePreparer::start(Arc::clone(storage), folder, bytes, eager);
    started.map_err(OpenError::io("start a thread for", folder))
}

fn segment_writer(
    storage: Arc<dyn Storage>,
    options: &EmbeddedOptions,
    log_id: LogId,
    last: Last,
    files: Arc<IndexFolder>,
) -> Result<SegmentWriter, OpenError> {
    let folder = options.folder.join(segment::FOLDER);
    let preparer = preparer(&storage, &folder, options.segment_bytes, false)?;
    preparer.pace(last.end);
    Ok(SegmentWriter {
        storage,
        folder,
        log_id,
        preparer,
        files,
        current: last.segment,
        end: last.end,
        capacity: last.capacity,
        segment_bytes: options.segment_bytes,
    })
}
