//! The engines under test.

use std::path::Path;
use std::sync::Arc;

use satpost_event_store::EventStore;
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_event_store::memory::MemoryEventStore;
use tempfile::TempDir;

/// One engine with one log.
pub(crate) struct Harness {
    store: Option<Arc<dyn EventStore>>,
    folder: Option<TempDir>,
    reopens: bool,
}

/// Small files, so that tests cross from one to the next.
pub(crate) fn options(folder: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 256 * 1024,
        blob_segment_bytes: 256 * 1024,
        ..EmbeddedOptions::new(folder)
    }
}

/// Opens the embedded log in `folder`.
pub(crate) fn open(folder: &Path) -> EmbeddedEventStore {
    EmbeddedEventStore::open(&options(folder)).unwrap()
}

impl Harness {
    pub(crate) fn memory() -> Self {
        Self {
            store: Some(Arc::new(MemoryEventStore::new())),
            folder: None,
            reopens: false,
        }
    }

    pub(crate) fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Some(Arc::new(open(folder.path()))),
            folder: Some(folder),
            reopens: false,
        }
    }

    pub(crate) fn reopened() -> Self {
        Self {
            reopens: true,
            ..Self::embedded()
        }
    }

    /// The log.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    /// How to make another one of the same kind.
    pub(crate) fn maker(&self) -> fn() -> Self {
        match (&self.folder, self.reopens) {
            (None, _) => Self::memory,
            (Some(_), false) => Self::embedded,
            (Some(_), true) => Self::reopened,
        }
    }

    /// Closes the log and opens it again, where that is what is tested. Nobody else may hold it.
    pub(crate) fn settle(&mut self) {
        if self.reopens {
            let store = self.store.take().unwrap();
            assert_eq!(Arc::strong_count(&store), 1, "the log is still in use");
            drop(store);
            let folder = self.folder.as_ref().unwrap();
            self.store = Some(Arc::new(open(folder.path())));
        }
    }
}
