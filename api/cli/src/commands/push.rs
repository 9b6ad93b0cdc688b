//! Being woken.

use std::process::ExitCode;
use std::time::Duration;

use satpost_api_types::push::{ApnsEnvironment, SetPushTargetRequest};
use satpost_client::wallet::Wallet;
use serde_json::json;

use crate::arguments::SetPushTargetArguments;
use crate::exit;
use crate::output::Output;

/// Subscribes at a push service and proves it to the server, or registers a phone.
pub(crate) async fn set_push_target(
    wallet: &mut Wallet,
    arguments: SetPushTargetArguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let target = match (arguments.apns_token, arguments.fcm_token) {
        (Some(token), _) => SetPushTargetRequest::Apns {
            token,
            topic: arguments.apns_topic.unwrap_or_default(),
            environment: if arguments.apns_sandbox {
                ApnsEnvironment::Sandbox
            } else {
                ApnsEnvironment::Production
            },
        },
        (None, Some(token)) => SetPushTargetRequest::Fcm { token },
        (None, None) => {
            let service = arguments.service.unwrap_or_default();
            wallet.set_push_target(&service, arguments.timeout).await?;
            output.show("the push target is active", &json!({ "push": "active" }));
            return Ok(ExitCode::SUCCESS);
        }
    };
    wallet.set_phone_push_target(&target).await?;
    output.show(
        "a code is on its way to the phone; give it to verify-push-target",
        &json!({ "push": "pending" }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Gives the server its code back.
pub(crate) async fn verify_push_target(
    wallet: &mut Wallet,
    content: &str,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    if wallet.verify_push_target(content).await? {
        output.show("the push target is active", &json!({ "push": "active" }));
        return Ok(ExitCode::SUCCESS);
    }
    output.show(
        "that push is a wake-up and no code",
        &json!({ "push": "pending" }),
    );
    Ok(ExitCode::from(exit::NOTHING))
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
