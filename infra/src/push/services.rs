//! Each target to its own provider.

use async_trait::async_trait;
use satpost_commands::ports::{Notifier, PushOutcome, PushPayload};
use satpost_domain::push::PushTarget;

use super::{Apns, Fcm, WebPush};

/// Every way to a phone that this server has.
pub struct PushServices {
    /// Needs no credentials, so it is always there.
    pub web_push: WebPush,
    /// There with credentials only.
    pub apns: Option<Apns>,
    /// There with credentials only.
    pub fcm: Option<Fcm>,
}

#[async_trait]
impl Notifier for PushServices {
    /// A target from the time when there were credentials is kept: they may come back.
    async fn push(&self, target: &PushTarget, payload: PushPayload) -> PushOutcome {
        let notifier: Option<&dyn Notifier> = match target {
            PushTarget::WebPush { .. } => Some(&self.web_push),
            PushTarget::Apns { .. } => self.apns.as_ref().map(|apns| apns as _),
            PushTarget::Fcm { .. } => self.fcm.as_ref().map(|fcm| fcm as _),
        };
        match notifier {
            Some(notifier) => notifier.push(target, payload).await,
            None => PushOutcome::Misconfigured,
        }
    }
}
