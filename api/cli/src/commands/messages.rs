//! Sending, fetching and listing messages.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use satpost_client::envelope::{KIND_CARD, KIND_TEXT};
use satpost_client::http::CallError;
use satpost_client::wallet::{
    KnockReason, ReceiveReport, SendOptions, SendOutcome, Wallet, WalletError,
};
use serde_json::json;

use super::received::{describe, describe_notice};
use crate::exit;
use crate::output::Output;

/// Sends a text.
pub(crate) async fn send_message(
    wallet: &mut Wallet,
    contact: &str,
    text: &str,
    options: SendOptions,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    match wallet.send_message(contact, text, options).await? {
        SendOutcome::Accepted(record) => {
            let (text, value) = describe(wallet, &record);
            output.show(&text, &value);
            Ok(ExitCode::SUCCESS)
        }
        SendOutcome::Knocked { record, reason } => {
            let (text, mut value) = describe(wallet, &record);
            let (name, hint) = match reason {
                KnockReason::NotKnownYet => (
                    "not-known-yet",
                    "Sent as a stranger's; that ends when the contact has written back.",
                ),
                KnockReason::TokenRefused => (
                    "token-refused",
                    "The contact's mailbox knows this wallet no more, so this was sent as a stranger's.",
                ),
            };
            value["knocked"] = json!(name);
            output.show(&text, &value);
            output.hint(hint);
            Ok(ExitCode::SUCCESS)
        }
        SendOutcome::TooMuchWork { bits, max } => {
            Err(WalletError::TooMuchWork { bits, max }).context("not sent yet; the message is kept")
        }
        SendOutcome::Waiting(error) => Err(WalletError::Call(error))
            .context("not sent yet; the message is kept and goes along with the next one"),
        SendOutcome::Queued => {
            output.show(
                "waits behind an earlier message to the same contact",
                &json!({ "kind": "queued" }),
            );
            Ok(ExitCode::from(exit::NOTHING))
        }
        SendOutcome::Refused(error) => {
            Err(WalletError::Call(error)).context("the message was not taken and is dropped")
        }
    }
}

/// Fetches, verifies, decrypts, stores and acknowledges.
pub(crate) async fn fetch_messages(
    wallet: &mut Wallet,
    wait: Duration,
    resynchronise: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    if resynchronise {
        wallet.resynchronise()?;
    }
    for (_, outcome) in wallet.flush_outbox().await? {
        match outcome {
            SendOutcome::Refused(error) => hint_refused(&error, output),
            SendOutcome::Accepted(_)
            | SendOutcome::Knocked { .. }
            | SendOutcome::Waiting(_)
            | SendOutcome::Queued
            | SendOutcome::TooMuchWork { .. } => {}
        }
    }
    let report = wallet.fetch_messages(wait).await?;
    show_report(wallet, &report, output);
    Ok(ExitCode::SUCCESS)
}

/// Shows what was fetched.
pub(super) fn show_report(wallet: &Wallet, report: &ReceiveReport, output: &Output) {
    for record in &report.records {
        let (text, value) = describe(wallet, record);
        output.show(&text, &value);
    }
    for notice in &report.notices {
        let (text, value) = describe_notice(wallet, notice);
        output.show(&text, &value);
    }
}

/// Lists what is stored.
pub(crate) fn list_messages(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    for record in wallet.records()? {
        let (text, value) = describe(wallet, &record);
        output.show(&text, &value);
    }
    for pending in &wallet.state().outbox {
        let name = wallet.name_of(&pending.contact);
        let text = match pending.kind {
            KIND_TEXT => pending.text.as_str(),
            KIND_CARD => "(card)",
            _ => "(a word from wallet to wallet)",
        };
        output.show(
            &format!("to {name}, not sent yet: {text}"),
            &json!({ "kind": "waiting", "contact": name, "text": text }),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows how much waits at the server.
pub(crate) async fn show_queue(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    let queue = wallet.get_queue().await?;
    output.show(
        &format!(
            "{} messages (at most {}), {} bytes (at most {}), {} parked, {} of strangers, acknowledged through {}",
            queue.messages,
            queue.messages_max,
            queue.bytes,
            queue.bytes_max,
            queue.parked,
            queue.knocks,
            queue.acknowledged
        ),
        &serde_json::to_value(&queue)?,
    );
    Ok(ExitCode::SUCCESS)
}

fn hint_refused(error: &CallError, output: &Output) {
    output.hint(&format!(
        "A waiting message was not taken and is dropped: {error}"
    ));
}
