//! Being woken: subscribe, prove it, wait.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satpost_api_types::push::SetPushTargetRequest;
use tokio::time::Instant;

use super::{Wallet, WalletError};
use crate::push_service::PushService;
use crate::store::PushSubscription;
use crate::web_push::{Push, PushKeys, read_push_field};

/// How long one request waits at the push service.
const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(25);
/// How long to wait between two requests.
const PAUSE: Duration = Duration::from_millis(200);

impl Wallet {
    /// Subscribes at the push service, registers that with the server, and sends back the code that
    /// comes through it within `timeout`.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn set_push_target(
        &mut self,
        service: &str,
        timeout: Duration,
    ) -> Result<(), WalletError> {
        self.registered()?;
        let http = self.http()?;
        let vapid_key = http.get_info().await?.vapid_key;
        if vapid_key.is_empty() {
            return Err(WalletError::NoVapidKey);
        }
        let keys = PushKeys::generate(self.options.http.entropy.as_ref());
        let push_service = PushService::new(http.plain());
        let subscription = push_service.subscribe(service, &vapid_key).await?;
        let target = SetPushTargetRequest::WebPush {
            endpoint: subscription.endpoint,
            p256dh: URL_SAFE_NO_PAD.encode(keys.p256dh()),
            auth: URL_SAFE_NO_PAD.encode(keys.auth()),
        };
        http.set_push_target(&self.identity, &target).await?;
        let mut push = PushSubscription {
            receive: subscription.receive,
            keys,
            verified: false,
        };
        self.keep_push(Some(push.clone()))?;

        let deadline = Instant::now() + timeout;
        let code = self
            .next_push(&push, deadline, |pushed| match pushed {
                Push::Verification { code } => Some(code),
                Push::Wake => None,
            })
            .await?
            .ok_or(WalletError::NoPush {
                seconds: timeout.as_secs(),
            })?;
        http.verify_push_target(&self.identity, &code).await?;
        push.verified = true;
        self.keep_push(Some(push))
    }

    /// Registers a phone's target at Apple or Google. The server's code comes to the app as a push; give what
    /// stands in it to [`Self::verify_push_target`].
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn set_phone_push_target(
        &mut self,
        target: &SetPushTargetRequest,
    ) -> Result<(), WalletError> {
        self.registered()?;
        self.http()?.set_push_target(&self.identity, target).await?;
        // The server keeps one target; a subscription of before wakes nobody any more.
        self.keep_push(None)
    }

    /// Gives the server its code back: `field` is what the push said (see [`read_push_field`]). False when that
    /// push was no code but a wake-up.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn verify_push_target(&mut self, field: &str) -> Result<bool, WalletError> {
        self.registered()?;
        match read_push_field(field)? {
            Push::Wake => Ok(false),
            Push::Verification { code } => {
                let http = self.http()?;
                http.verify_push_target(&self.identity, &code).await?;
                Ok(true)
            }
        }
    }

    /// Waits until the server wakes this wallet; false when it did not within `timeout`.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn wait_for_wake(&mut self, timeout: Duration) -> Result<bool, WalletError> {
        let push = self.state.push.clone().ok_or(WalletError::NoPushTarget)?;
        let deadline = Instant::now() + timeout;
        let woken = self
            .next_push(&push, deadline, |pushed| match pushed {
                Push::Wake => Some(()),
                Push::Verification { .. } => None,
            })
            .await?;
        Ok(woken.is_some())
    }

    /// Wakes this wallet no longer, and ends the subscription.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn remove_push_target(&mut self) -> Result<(), WalletError> {
        self.registered()?;
        let http = self.http()?;
        http.remove_push_target(&self.identity).await?;
        let push = self.state.push.clone();
        self.keep_push(None)?;
        if let Some(push) = push {
            PushService::new(http.plain())
                .unsubscribe(&push.receive)
                .await?;
        }
        Ok(())
    }

    /// The first push before `deadline` that `wanted` takes. Others, and those that cannot be
    /// opened (anyone who knows the endpoint can send some), are passed over.
    async fn next_push<T>(
        &self,
        push: &PushSubscription,
        deadline: Instant,
        wanted: impl Fn(Push) -> Option<T>,
    ) -> Result<Option<T>, WalletError> {
        let service = PushService::new(self.http()?.plain());
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            // Whole seconds, rounded up: `Prefer: wait` knows no others.
            let wait = Duration::from_secs(rest.as_secs() + u64::from(rest.subsec_nanos() > 0));
            let bodies = service
                .receive(&push.receive, wait.min(RECEIVE_WAIT_MAX))
                .await?;
            let found = bodies
                .iter()
                .filter_map(|body| push.keys.open(body).ok())
                .find_map(&wanted);
            if found.is_some() || rest.is_zero() {
                return Ok(found);
            }
            // A service that does not wait is not asked without a pause.
            tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
        }
    }

    fn keep_push(&mut self, push: Option<PushSubscription>) -> Result<(), WalletError> {
        let mut draft = self.state.clone();
        draft.push = push;
        self.commit(draft)
    }
}
