//! The outbox, and the push services that credentials are configured for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use p256::SecretKey;
use satpost_api::PushCredentials;
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Server, read_secret};
use crate::config::Config;
use crate::outbox::{Outbox, OutboxSettings};
use crate::push::http::base_url;
use crate::push::metrics::PushMetrics;
use crate::push::{Apns, ApnsKey, Fcm, Guard, PushServices, ServiceAccount, Vapid, WebPush};
use crate::system::{SystemClock, SystemIds};

impl Server {
    /// Returns the public key that phones subscribe with.
    pub(super) fn start_outbox(
        &self,
        background: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> anyhow::Result<String> {
        let key = SecretKey::from_slice(self.keys.vapid_secret())
            .context("the Web Push key cannot be used")?;
        let vapid =
            Vapid::new(&key, &self.config.push.contact).context("push.contact cannot be used")?;
        let vapid = Arc::new(vapid);
        let public_key = vapid.public_key().to_owned();
        let guard = Guard::allowing(&self.config.push.allow);
        let services = PushServices {
            web_push: WebPush::new(guard, vapid, Arc::new(SystemClock), self.random.clone())
                .context("pushes cannot be sent")?,
            apns: apns(&self.config).context("push.apns cannot be used")?,
            fcm: fcm(&self.config, &self.random).context("push.fcm cannot be used")?,
        };
        let heartbeat = self.config.push.heartbeat_seconds;
        let outbox = Outbox {
            handler: self.handler.clone(),
            read_model: Arc::clone(&self.read_model),
            notifier: Arc::new(services),
            chance: Arc::new(self.random.clone()),
            metrics: PushMetrics::register(&self.registry)?,
            settings: OutboxSettings {
                heartbeat: (heartbeat > 0).then(|| Duration::from_secs(heartbeat)),
                ..OutboxSettings::default()
            },
        };
        background.spawn(outbox.run(stop.clone()));
        Ok(public_key)
    }
}

/// What clients may register: the same conditions as in [`apns`] and [`fcm`].
pub(super) fn push_credentials(config: &Config) -> PushCredentials {
    let apns = &config.push.apns;
    PushCredentials {
        apns_topics: apns
            .key_file
            .as_ref()
            .map_or_else(Vec::new, |_| apns.topics.clone()),
        fcm: config.push.fcm.credentials_file.is_some(),
    }
}

fn apns(config: &Config) -> anyhow::Result<Option<Apns>> {
    let apns = &config.push.apns;
    let Some(file) = &apns.key_file else {
        return Ok(None);
    };
    let key = ApnsKey::new(
        read_secret(file)?.expose_secret(),
        &apns.key_id,
        &apns.team_id,
    )
    .with_context(|| format!("{} cannot be used", file.display()))?;
    let production = base_url(&apns.production_url)?;
    let sandbox = base_url(&apns.sandbox_url)?;
    Ok(Some(Apns::new(
        key,
        production,
        sandbox,
        Arc::new(SystemClock),
    )?))
}

fn fcm(config: &Config, random: &SystemIds) -> anyhow::Result<Option<Fcm>> {
    let Some(file) = &config.push.fcm.credentials_file else {
        return Ok(None);
    };
    let account = ServiceAccount::parse(read_secret(file)?.expose_secret())
        .with_context(|| format!("{} cannot be used", file.display()))?;
    let base = base_url(&config.push.fcm.url)?;
    Ok(Some(Fcm::new(
        account,
        &base,
        Arc::new(SystemClock),
        random.clone(),
    )?))
}
