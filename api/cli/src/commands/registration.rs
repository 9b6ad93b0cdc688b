//! The wallet and its server.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::ensure;
use satpost_client::base_url;
use satpost_client::http::HttpClient;
use satpost_client::onion::onion_name;
use satpost_client::wallet::{DEFAULT_SERVER, Wallet, WalletOptions};
use serde_json::json;

use crate::output::Output;

/// Registers the wallet.
pub(crate) async fn register_client(
    wallet: &mut Wallet,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    wallet.register_client().await?;
    let (client, key) = (wallet.client_id(), wallet.messaging_key());
    output.show(
        &format!(
            "registered with {}\nclient {client}\nmessages to {}",
            wallet.server(),
            onion_name(&key)
        ),
        &json!({
            "server": wallet.server(),
            "client_id": client.to_string(),
            "messaging_key": key.to_string(),
            "onion_name": onion_name(&key),
            "network": wallet.state().network,
            "generation": wallet.state().generation,
        }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Changes the messaging key.
pub(crate) async fn rotate_messaging_key(
    wallet: &mut Wallet,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let key = wallet.rotate_messaging_key().await?;
    let waiting = wallet.state().outbox.len();
    let mut text = format!("messages go to {} from now on", onion_name(&key));
    if waiting > 0 {
        text.push_str(&format!(
            "\n{waiting} contacts are told with the next messages"
        ));
    }
    output.show(
        &text,
        &json!({
            "messaging_key": key.to_string(),
            "onion_name": onion_name(&key),
            "generation": wallet.state().generation,
            "waiting": waiting,
        }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Ends the registration.
pub(crate) async fn retire_client(
    wallet: &mut Wallet,
    yes: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    ensure!(
        yes,
        "retiring cannot be undone: the server erases the waiting messages and never takes this client again; say --yes"
    );
    wallet.retire_client().await?;
    let client = wallet.client_id().to_string();
    output.show(
        &format!("retired client {client}"),
        &json!({ "client_id": client }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Shows what the server says about itself. Needs no wallet.
pub(crate) async fn server_info(
    options: WalletOptions,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let http = server_of(options)?;
    let info = http.get_info().await?;
    let mut lines = vec![
        format!("{} {} at {}", info.name, info.version, http.base()),
        format!("network {}", info.network),
        format!("key {}", info.server_key),
    ];
    for feature in &info.features {
        let state = match (&feature.reason, feature.available) {
            (_, true) => "available",
            (Some(reason), false) => reason,
            (None, false) => "not available",
        };
        lines.push(format!("{}: {state}", feature.name));
    }
    output.show(&lines.join("\n"), &serde_json::to_value(&info)?);
    Ok(ExitCode::SUCCESS)
}

/// The server of the wallet, or the one that is named or the usual one when there is no wallet.
pub(super) fn server_of(options: WalletOptions) -> anyhow::Result<Arc<HttpClient>> {
    if let Ok(wallet) = Wallet::open(options.clone()) {
        return Ok(wallet.http()?);
    }
    let server = options.server.as_deref().unwrap_or(DEFAULT_SERVER);
    let http = HttpClient::new(base_url::parse(server)?, options.http)?;
    Ok(Arc::new(http))
}
