//! A log that breaks its word in one chosen way, to show that the checks notice.

use async_trait::async_trait;
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_event_store::EventStore;
use satpost_tests::hooked_store::{Append, Hook, HookedStore};

/// Which word is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// None.
    Plain,
    /// What is sent again is appended again.
    AppendsRepeats,
    /// What an append erases stays.
    KeepsErased,
}

/// The store in front of the log.
pub type BrokenStore = HookedStore<Store>;

#[async_trait]
impl Hook for Store {
    async fn append(
        &self,
        store: &dyn EventStore,
        mut append: Append,
    ) -> Result<Appended, LogError> {
        match self {
            Self::AppendsRepeats => {
                let end = store.read_stream_back(&append.stream, None, 1).await?;
                if let Some(last) = end.events.first() {
                    append.expected = Expected::Exact(last.revision);
                }
            }
            Self::KeepsErased if !append.events.is_empty() => append.erase.clear(),
            Self::KeepsErased | Self::Plain => {}
        }
        append.to(store).await
    }
}
