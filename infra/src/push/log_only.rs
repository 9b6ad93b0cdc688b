//! Sends nothing: for a server whose clients poll, over Tor for instance.

use async_trait::async_trait;
use satpost_commands::ports::{Notifier, PushOutcome, PushPayload};
use satpost_domain::push::PushTarget;

/// Accepts every push and leaves a line in the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOnly;

#[async_trait]
impl Notifier for LogOnly {
    async fn push(&self, _target: &PushTarget, payload: PushPayload) -> PushOutcome {
        let kind = match payload {
            PushPayload::Wake => "wake",
            PushPayload::Verification(_) => "verification",
        };
        tracing::info!(push.kind = kind, "a push was not sent: push is log-only");
        PushOutcome::Accepted
    }
}
