//! Cards, contacts, and those who ask to be one.

use std::process::ExitCode;

use anyhow::Context as _;
use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_client::contact_card::ContactCard;
use satpost_client::onion::onion_name;
use satpost_client::store::Contact;
use satpost_client::wallet::{SendOutcome, Wallet, WalletError};
use serde_json::{Value, json};

use crate::arguments::Policy;
use crate::output::Output;

/// Shows a card of the wallet.
pub(crate) async fn show_card(
    wallet: &mut Wallet,
    with_address: bool,
    no_token: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let card = match no_token {
        true => wallet.card(with_address)?,
        false => wallet.show_card(with_address).await?,
    };
    output.show(
        &card.to_string(),
        &json!({
            "card": card.to_string(),
            "name": card.name(),
            "messaging_key": card.messaging_key().to_string(),
            "onion_name": onion_name(&card.messaging_key()),
            "payment_address": card.payment_address(),
            "server": card.server(),
            "has_token": card.token().is_some(),
        }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Adds the owner of a card.
pub(crate) fn add_contact(
    wallet: &mut Wallet,
    card: &str,
    name: Option<&str>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let card: ContactCard = card.parse()?;
    let contact = wallet.add_contact(&card, name)?;
    output.show(&line(&contact), &value(&contact));
    Ok(ExitCode::SUCCESS)
}

/// Lists the contacts.
pub(crate) fn list_contacts(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    for contact in &wallet.state().contacts {
        output.show(&line(contact), &value(contact));
    }
    Ok(ExitCode::SUCCESS)
}

/// Accepts someone who knocked.
pub(crate) async fn accept_contact(
    wallet: &mut Wallet,
    contact: &str,
    name: Option<&str>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let (contact, outcome) = wallet.accept_contact(contact, name).await?;
    output.show(&line(&contact), &value(&contact));
    match outcome {
        SendOutcome::Accepted(_) | SendOutcome::Knocked { .. } => Ok(ExitCode::SUCCESS),
        SendOutcome::Waiting(error) => Err(WalletError::Call(error)).context(
            "accepted, but the contact is not told yet; that goes along with the next messages",
        ),
        SendOutcome::Refused(error) => Err(WalletError::Call(error))
            .context("accepted, but the contact's mailbox takes nothing from this wallet"),
        SendOutcome::Queued | SendOutcome::TooMuchWork { .. } => {
            output.hint("Accepted; the contact is told with the next messages.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Removes a contact, or someone who asks to be one.
pub(crate) async fn remove_contact(
    wallet: &mut Wallet,
    contact: &str,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let (contact, told) = wallet.remove_contact(contact).await?;
    let mut text = format!("removed {}", contact.name);
    if !told {
        text.push_str("; the server is told when it can be reached");
    }
    output.show(
        &text,
        &json!({
            "name": contact.name,
            "messaging_key": contact.messaging_key().to_string(),
            "server_told": told,
        }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Says what becomes of messages of strangers.
pub(crate) async fn set_stranger_policy(
    wallet: &Wallet,
    policy: Policy,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let (policy, text) = match policy {
        Policy::Refuse => (StrangerPolicy::Refuse, "messages of strangers are refused"),
        Policy::Knock => (
            StrangerPolicy::Knock,
            "small messages of strangers who worked for them wait as knocks",
        ),
        Policy::Open => (StrangerPolicy::Open, "messages of strangers are taken"),
    };
    wallet.set_stranger_policy(policy).await?;
    output.show(text, &json!({ "strangers": policy }));
    Ok(ExitCode::SUCCESS)
}

fn line(contact: &Contact) -> String {
    let asks = match contact.is_accepted() {
        true => "",
        false => "  (asks to be a contact)",
    };
    let onion_name = onion_name(&contact.messaging_key());
    if contact.name == onion_name {
        return format!("{onion_name}{asks}");
    }
    format!("{}  {onion_name}{asks}", contact.name)
}

fn value(contact: &Contact) -> Value {
    let card: Option<ContactCard> = contact.card.as_ref().and_then(|card| card.parse().ok());
    json!({
        "name": contact.name,
        "standing": if contact.is_accepted() { "contact" } else { "asks" },
        "lets_us_write": contact.lets_us_write(),
        "messaging_key": contact.messaging_key().to_string(),
        "onion_name": onion_name(&contact.messaging_key()),
        "payment_address": card.as_ref().and_then(ContactCard::payment_address),
        "server": card.as_ref().and_then(ContactCard::server),
        "card": contact.card,
        "added_at": contact.added_at.as_millis(),
    })
}
