//! Loses what is on its way to a log or back, as a connection does that is cut.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use satpost_commands::ports::{Appended, LogError};
use satpost_event_store::EventStore;
use satpost_tests::hooked_store::{Append, Hook};

/// What gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The append never reaches the log.
    Request,
    /// It is carried out, and nobody hears of it.
    Answer,
}

/// Loses what it is told to.
#[derive(Default)]
pub(crate) struct LostAnswers(Mutex<Option<Lost>>);

impl LostAnswers {
    pub(crate) fn lose_next(&self, lost: Lost) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lost);
    }

    fn next(&self) -> Option<Lost> {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.take()
    }
}

#[async_trait]
impl Hook for LostAnswers {
    async fn append(&self, store: &dyn EventStore, append: Append) -> Result<Appended, LogError> {
        let lost = self.next();
        if lost != Some(Lost::Request) {
            let answer = append.to(store).await;
            if lost.is_none() {
                return answer;
            }
        }
        Err(LogError::Unknown {
            reason: "the answer was lost on purpose".to_owned(),
        })
    }
}
