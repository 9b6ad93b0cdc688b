//! What was received and sent, in words and as JSON.

use satpost_client::envelope::KIND_TEXT;
use satpost_client::link::Continuity;
use satpost_client::store::Record;
use satpost_client::wallet::{Notice, Wallet};
use serde_json::{Value, json};

/// A record, for people and for programs.
pub(super) fn describe(wallet: &Wallet, record: &Record) -> (String, Value) {
    let accepted_at = record.accepted_at().as_millis();
    match record {
        Record::Received {
            sender,
            contact,
            kind,
            text,
            sent_at,
            continuity,
            knock,
            ..
        } => {
            let name = wallet.name_of(sender);
            let (warning, continuity) = describe_continuity(*continuity);
            let is_text = *kind == KIND_TEXT;
            let shown = if is_text { text } else { "(card)" };
            let who = match contact {
                Some(_) => "from",
                None if *knock => "knock of the stranger",
                None => "from the stranger",
            };
            (
                format!("{who} {name}: {shown}{warning}"),
                json!({
                    "kind": if is_text { "received" } else { "received-card" },
                    "from": name,
                    "sender": sender.to_string(),
                    "known": contact.is_some(),
                    "knock": knock,
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

/// Something that is no message.
pub(super) fn describe_notice(wallet: &Wallet, notice: &Notice) -> (String, Value) {
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
        Notice::ContactRequested { sender } => {
            let name = wallet.name_of(sender);
            (
                format!("{name} asks to be a contact; accept-contact or remove-contact"),
                json!({
                    "kind": "contact-requested",
                    "from": name,
                    "sender": sender.to_string(),
                }),
            )
        }
        Notice::Greeted { sender } => {
            let name = wallet.name_of(sender);
            (
                format!("{name} lets this wallet write"),
                json!({ "kind": "greeted", "from": name }),
            )
        }
        Notice::RoomAgain { sender } => {
            let name = wallet.name_of(sender);
            (
                format!("{name} has room for messages again"),
                json!({ "kind": "room-again", "from": name }),
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
