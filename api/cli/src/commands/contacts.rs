//! Cards and contacts.

use std::process::ExitCode;

use satpost_client::contact_card::ContactCard;
use satpost_client::onion::onion_name;
use satpost_client::store::Contact;
use satpost_client::wallet::Wallet;
use serde_json::{Value, json};

use crate::output::Output;

/// Shows the wallet's card.
pub(crate) fn show_card(
    wallet: &Wallet,
    with_address: bool,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let card = wallet.card(with_address)?;
    output.show(
        &card.to_string(),
        &json!({
            "card": card.to_string(),
            "name": card.name(),
            "messaging_key": card.messaging_key().to_string(),
            "onion_name": onion_name(&card.messaging_key()),
            "payment_address": card.payment_address(),
            "server": card.server(),
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

fn line(contact: &Contact) -> String {
    format!("{}  {}", contact.name, onion_name(&contact.messaging_key()))
}

fn value(contact: &Contact) -> Value {
    let card: Option<ContactCard> = contact.card.parse().ok();
    json!({
        "name": contact.name,
        "messaging_key": contact.messaging_key().to_string(),
        "onion_name": onion_name(&contact.messaging_key()),
        "payment_address": card.as_ref().and_then(ContactCard::payment_address),
        "server": card.as_ref().and_then(ContactCard::server),
        "card": contact.card,
        "added_at": contact.added_at.as_millis(),
    })
}
