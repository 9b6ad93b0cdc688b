//! The index files of a log as files: written so that a name always has a whole file, opened when
//! they are needed, and read at places.
//!
//! They only save time. Whatever happens to one of them, the log is as whole as before, and the
//! file is made again from its segment when the log is opened the next time.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::index_file::{self, Image, Layout};
use crate::storage::{Access, Storage, StorageFile, replace_file};

/// How many index files are held open. The others are opened when they are read.
const OPEN_FILES: usize = 64;

/// The index files of one log.
pub(super) struct IndexFolder {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    /// The last one used is the last.
    open: Mutex<VecDeque<(u32, Arc<dyn StorageFile>)>>,
}

impl IndexFolder {
    pub(super) fn new(storage: Arc<dyn Storage>, folder: &Path) -> Self {
        Self {
            storage,
            folder: folder.to_owned(),
            open: Mutex::default(),
        }
    }

    pub(super) fn path(&self, number: u32) -> PathBuf {
        index_file::path(&self.folder, number)
    }

    /// The file of a segment. One that was opened before is not opened again.
    pub(super) fn file(&self, number: u32) -> io::Result<Arc<dyn StorageFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.iter().rposition(|(of, _)| *of == number);
        let entry = match found.and_then(|at| open.remove(at)) {
            Some(entry) => entry,
            None => {
                let file = self.storage.open(&self.path(number), Access::Read)?;
                (number, file)
            }
        };
        let file = Arc::clone(&entry.1);
        open.push_back(entry);
        if open.len() > OPEN_FILES {
            open.pop_front();
        }
        Ok(file)
    }

    /// Writes the index file of a segment, in place of one that may be there.
    pub(super) fn write(&self, number: u32, image: &Image) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(of, _)| *of != number);
        drop(open);
        replace_file(&*self.storage, &self.path(number), image.bytes())
    }
}

/// The tables of one full segment.
#[derive(Clone)]
pub(super) struct Tables {
    layout: Layout,
    source: Source,
}

#[derive(Clone)]
enum Source {
    File(Arc<IndexFolder>, u32),
    /// As long as there is no file.
    Memory(Arc<Image>),
}

impl Tables {
    /// In the index file of a segment.
    pub(super) fn in_file(folder: &Arc<IndexFolder>, number: u32, image: &Image) -> Self {
        Self {
            layout: image.layout(),
            source: Source::File(Arc::clone(folder), number),
        }
    }

    /// In memory, since there is no index file.
    pub(super) fn in_memory(image: Arc<Image>) -> Self {
        Self {
            layout: image.layout(),
            source: Source::Memory(image),
        }
    }

    /// How many events the segment has.
    pub(super) fn count(&self) -> u32 {
        self.layout.count()
    }

    /// Where the records of these ordinals start.
    pub(super) fn offsets(&self, ordinals: &Range<u32>) -> io::Result<Vec<u32>> {
        self.read(self.layout.offsets(ordinals), |bytes| {
            index_file::decode_offsets(bytes).collect()
        })
    }

    /// Ordinals and where their records start, of places that a history names.
    pub(super) fn places(&self, places: &Range<u32>) -> io::Result<Vec<(u32, u32)>> {
        self.read(self.layout.places(places), |bytes| {
            index_file::decode_places(bytes).collect()
        })
    }

    fn read<T>(&self, range: Range<usize>, decode: impl Fn(&[u8]) -> T) -> io::Result<T> {
        match &self.source {
            Source::Memory(image) => Ok(decode(&image.bytes()[range])),
            Source::File(folder, number) => {
                let mut bytes = vec![0; range.len()];
                let read = folder
                    .file(*number)?
                    .read_at(&mut bytes, range.start as u64)?;
                if read == bytes.len() {
                    Ok(decode(&bytes))
                } else {
                    let path = folder.path(*number);
                    Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!("{} ends too early", path.display()),
                    ))
                }
            }
        }
    }
}
