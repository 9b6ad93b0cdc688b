//! An event store that fails when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use satpost_commands::ports::{Appended, LogError};
use satpost_domain::PayloadId;
use satpost_event_store::EventStore;

use crate::hooked_store::{Append, Hook, HookedStore};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nothing.
    None,
    /// Appends are refused.
    Unavailable,
    /// The disk is full.
    Full,
    /// Another writer is always faster.
    Conflict,
    /// Payloads are lost.
    LostPayloads,
}

/// The fault of now.
pub struct Faults(AtomicU8);

/// A store that behaves like the one below it until a fault is set. Clones share the fault.
pub type FaultyStore = HookedStore<Faults>;

impl FaultyStore {
    /// Puts itself before `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>) -> Self {
        Self::with(inner, Faults(AtomicU8::new(Fault::None as u8)))
    }

    /// From now on this goes wrong.
    pub fn set(&self, fault: Fault) {
        self.hook().0.store(fault as u8, Ordering::SeqCst);
    }
}

impl Faults {
    fn is(&self, fault: Fault) -> bool {
        self.0.load(Ordering::SeqCst) == fault as u8
    }
}

#[async_trait]
impl Hook for Faults {
    async fn append(&self, store: &dyn EventStore, append: Append) -> Result<Appended, LogError> {
        if self.is(Fault::Unavailable) {
            let reason = "not now: /secret/path".to_owned();
            return Err(LogError::Unavailable { reason });
        }
        if self.is(Fault::Full) {
            let reason = "no room in /secret/path".to_owned();
            return Err(LogError::StorageFull { reason });
        }
        if self.is(Fault::Conflict) {
            return Err(LogError::Conflict { actual: None });
        }
        append.to(store).await
    }

    async fn payload(
        &self,
        store: &dyn EventStore,
        id: PayloadId,
    ) -> Result<Option<Vec<u8>>, LogError> {
        if self.is(Fault::LostPayloads) {
            return Ok(None);
        }
        store.payload(id).await
    }
}
