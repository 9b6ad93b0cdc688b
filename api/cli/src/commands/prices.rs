//! What a bitcoin costs.

use std::process::ExitCode;

use satpost_client::wallet::WalletOptions;
use serde_json::to_value;

use super::registration::server_of;
use crate::output::Output;

/// Shows the price with who agrees on it and who does not count. Needs no wallet.
pub(crate) async fn price(
    options: WalletOptions,
    currency: &str,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let price = server_of(options)?.get_price(currency).await?;
    let quorum = &price.quorum;
    let mut lines = vec![format!("{} {}", price.price, price.currency)];
    if price.stale {
        lines.push("STALE: too few exchanges agree now; this is the last price".to_owned());
    }
    lines.push(format!(
        "{} s old; {} of {} exchanges agree, {} needed: {}",
        price.age_secs,
        quorum.agreed,
        quorum.exchanges,
        quorum.needed,
        price.used.join(", ")
    ));
    for entry in &price.dropped {
        lines.push(format!("{}: {}", entry.exchange, entry.reason));
    }
    output.show(&lines.join("\n"), &to_value(&price)?);
    Ok(ExitCode::SUCCESS)
}
