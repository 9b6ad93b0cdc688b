//! Being woken.

use std::process::ExitCode;
use std::time::Duration;

use satpost_client::wallet::Wallet;
use serde_json::json;

use crate::exit;
use crate::output::Output;

/// Subscribes at a push service and proves it to the server.
pub(crate) async fn set_push_target(
    wallet: &mut Wallet,
    service: &str,
    timeout: Duration,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    wallet.set_push_target(service, timeout).await?;
    output.show("the push target is active", &json!({ "push": "active" }));
    Ok(ExitCode::SUCCESS)
}

/// Waits for a push.
pub(crate) async fn wait_for_wake(
    wallet: &mut Wallet,
    timeout: Duration,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let woken = wallet.wait_for_wake(timeout).await?;
    let text = if woken { "woken" } else { "not woken" };
    output.show(text, &json!({ "woken": woken }));
    Ok(if woken {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::NOTHING)
    })
}

/// Ends the subscription.
pub(crate) async fn remove_push_target(
    wallet: &mut Wallet,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    wallet.remove_push_target().await?;
    output.show("the push target is removed", &json!({ "push": "none" }));
    Ok(ExitCode::SUCCESS)
}
