//! What the watched addresses have.

use std::process::ExitCode;

use satpost_api_types::addresses::Birthday;
use satpost_api_types::balance::Completeness;
use satpost_client::wallet::Wallet;

use crate::output::Output;

/// Shows the balance.
pub(crate) async fn get_balance(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    let balance = wallet.get_balance().await?;
    let as_of = balance.as_of.as_ref().map_or_else(
        || "no block yet".to_owned(),
        |block| format!("block {}", block.height),
    );
    let text = format!(
        "{} sat confirmed, {} sat immature, {} sat coming, {} sat going, as of {as_of}",
        balance.confirmed_sat, balance.immature_sat, balance.incoming_sat, balance.outgoing_sat
    );
    output.show(&text, &serde_json::to_value(&balance)?);
    hint(&balance.completeness, output);
    Ok(ExitCode::SUCCESS)
}

/// Lists every coin.
pub(crate) async fn list_utxos(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    let mut cursor = None;
    loop {
        let page = wallet.list_utxos(cursor.as_deref()).await?;
        for coin in &page.utxos {
            let place = coin.height.map_or_else(
                || "in the mempool".to_owned(),
                |height| format!("in block {height}"),
            );
            let text = format!(
                "{}:{}  {} sat, {place}",
                coin.txid, coin.vout, coin.value_sat
            );
            output.show(&text, &serde_json::to_value(coin)?);
        }
        if !page.more {
            hint(&page.completeness, output);
            return Ok(ExitCode::SUCCESS);
        }
        cursor = page.cursor;
    }
}

/// Has history read, and shows how far it is.
pub(crate) async fn rescan_addresses(
    wallet: &Wallet,
    addresses: &[String],
    from_height: u32,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let birthday = Birthday::Height(from_height);
    let rescan = wallet.rescan_addresses(addresses, birthday).await?;
    let text = if rescan.completeness.complete {
        "their history is known"
    } else {
        "their history is being read"
    };
    output.show(text, &serde_json::to_value(&rescan)?);
    hint(&rescan.completeness, output);
    Ok(ExitCode::SUCCESS)
}

/// Says when something may be missing.
fn hint(completeness: &Completeness, output: &Output) {
    if completeness.complete {
        return;
    }
    match &completeness.backfill {
        Some(backfill) => output.hint(&format!(
            "History is being read: block {} of {}.",
            backfill.through.unwrap_or(backfill.from),
            backfill.target
        )),
        None => output.hint(
            "This may not be everything: the history of some addresses is not known. `rescan` has it read.",
        ),
    }
}
