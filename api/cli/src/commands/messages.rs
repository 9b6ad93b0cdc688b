//! Messages.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use satpost_client::envelope::KIND_TEXT;
use satpost_client::http::CallError;
use satpost_client::link::Continuity;
use satpost_client::store::Record;
use satpost_client::wallet::{Notice, SendOutcome, Wallet, WalletError};
use serde_json::{Value, json};

use crate::exit;
use crate::output::Output;

/// Sends a text.
pub(crate) async fn send_message(
    wallet: &mut Wallet,
    contact: &str,
    text: &str,
    ttl: Option<Duration>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    match wallet.send_message(contact, text, ttl).await? {
        SendOutcome::Accepted(record) => {
            let (text, value) = describe(wallet, &record);
            output.show(&text, &value);
            Ok(ExitCode::SUCCESS)
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
            SendOutcome::Accepted(_) | SendOutcome::Waiting(_) | SendOutcome::Queued => {}
        }
    }
    let report = wallet.fetch_messages(wait).await?;
    for record in &report.records {
        let (text, value) = describe(wallet, record);
        output.show(&text, &value);
    }
    for notice in &report.notices {
        let (text, value) = describe_notice(wallet, notice);
        output.show(&text, &value);
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists what is stored.
pub(crate) fn list_messages(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    for record in wallet.records()? {
        let (text, value) = describe(wallet, &record);
        output.show(&text, &value);
    }
    for pending in &wallet.state().outbox {
        let name = wallet.name_of(&pending.contact);
        let text = if pending.kind == KIND_TEXT {
            pending.text.as_str()
        } else {
            "(card)"
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
            "{} messages (at most {}), {} bytes (at most {}), {} parked, acknowledged through {}",
            queue.messages,
            queue.messages_max,
            queue.bytes,
            queue.bytes_max,
            queue.parked,
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

fn describe(wallet: &Wallet, record: &Record) -> (String, Value) {
    let accepted_at = record.accepted_at().as_millis();
    match record {
        Record::Received {
            sender,
            contact,
            kind,
            text,
            sent_at,
            continuity,
            ..
        } => {
            let name = wallet.name_of(sender);
            let (warning, continuity) = describe_continuity(*continuity);
            let is_text = *kind == KIND_TEXT;
            let shown = if is_text { text } else { "(card)" };
            (
                format!("from {name}: {shown}{warning}"),
                json!({
                    "kind": if is_text { "received" } else { "received-card" },
                    "from": name,
                    "sender": sender.to_string(),
                    "known": contact.is_some(),
                    "text": text,
                    "sent_at": sent_at.as_millis(),
                    "accepted_at": accepted_at,
                    "continuity": continuity,
                }),
            )
        }
        Record::Sent {
            contact,
            kind,
            text,
            expires_at,
            ..
        } => {
            let name = wallet.name_of(contact);
            let is_text = *kind == KIND_TEXT;
            let shown = if is_text { text } else { "(card)" };
            (
                format!("to {name}: {shown}"),
                json!({
                    "kind": if is_text { "sent" } else { "sent-card" },
                    "to": name,
                    "text": text,
                    "accepted_at": accepted_at,
                    "expires_at": expires_at.as_millis(),
                }),
            )
        }
        Record::Gone { reason, .. } => (
            format!("a message ended before it was fetched: {reason}"),
            json!({ "kind": "gone", "reason": reason, "accepted_at": accepted_at }),
        ),
        Record::Unreadable { id, reason, .. } => (
            format!("a message was set aside: {reason}"),
            json!({
                "kind": "unreadable",
                "id": id.to_string(),
                "reason": reason,
                "accepted_at": accepted_at,
            }),
        ),
    }
}

fn describe_continuity(continuity: Continuity) -> (String, Value) {
    match continuity {
        Continuity::Follows => (String::new(), json!("follows")),
        Continuity::Begins => (String::new(), json!("begins")),
        Continuity::Late => ("  (late)".to_owned(), json!("late")),
        Continuity::Gap { missing } => (
            format!("  ({missing} before it are missing)"),
            json!({ "missing": missing }),
        ),
        Continuity::WrongLink => (
            "  (the one before it is not the one received)".to_owned(),
            json!("wrong-link"),
        ),
    }
}

fn describe_notice(wallet: &Wallet, notice: &Notice) -> (String, Value) {
    match notice {
        Notice::Replayed { sender, counter } => {
            let name = wallet.name_of(sender);
            (
                format!("message {counter} of {name} came again and was dropped"),
                json!({ "kind": "replayed", "from": name, "counter": counter }),
            )
        }
        Notice::ContactChanged { name } => (
            format!("{name} has a new card"),
            json!({ "kind": "contact-changed", "name": name }),
        ),
        Notice::CardRefused { sender } => {
            let name = wallet.name_of(sender);
            (
                format!("{name} sent a card that cannot be used"),
                json!({ "kind": "card-refused", "from": name }),
            )
        }
        Notice::MailboxJoined { seq } => (
            format!(
                "the mailbox begins at message {seq}; what was before was acknowledged earlier"
            ),
            json!({ "kind": "mailbox-joined", "seq": seq }),
        ),
    }
}
