//! Cards and contacts.

use satpost_domain::MessagingKey;

use super::{Wallet, WalletError};
use crate::contact_card::ContactCard;
use crate::onion::{onion_name, parse_onion_name};
use crate::receive_address::receive_address;
use crate::store::{Contact, State};

impl Wallet {
    /// This wallet's card. With `payment` it names the next receive address, without using it up.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn card(&self, payment: bool) -> Result<ContactCard, WalletError> {
        let address = if payment {
            let index = self.state.next_address;
            Some(receive_address(&self.seed, self.network()?, index)?.to_string())
        } else {
            None
        };
        self.card_of(self.state.generation, address.as_deref())
    }

    pub(super) fn card_of(
        &self,
        generation: u32,
        payment_address: Option<&str>,
    ) -> Result<ContactCard, WalletError> {
        Ok(ContactCard::sign(
            &self.messaging(generation),
            &self.state.display_name,
            payment_address,
            Some(self.server()),
        )?)
    }

    /// Adds the owner of `card`, or takes over a newer card of a contact with the same key. Without
    /// `name` the contact is called as its card says.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn add_contact(
        &mut self,
        card: &ContactCard,
        name: Option<&str>,
    ) -> Result<Contact, WalletError> {
        let key = card.messaging_key();
        if self
            .state
            .mailboxes
            .iter()
            .any(|mailbox| self.messaging(mailbox.generation).public() == key)
            || key == self.messaging_key()
        {
            return Err(WalletError::OwnCard);
        }
        let name = name.unwrap_or(card.name()).to_owned();
        let mut draft = self.state.clone();
        let known = contact_of(&draft, &key).map(|contact| contact.id);
        let taken = |contact: &Contact| contact.name == name && Some(contact.id) != known;
        if draft.contacts.iter().any(taken) {
            return Err(WalletError::ContactNameTaken { name });
        }
        let added = Contact {
            id: known.unwrap_or(key),
            name,
            card: card.to_string(),
            keys: vec![key],
            added_at: self.now(),
            sending: None,
        };
        let contact = match draft.contacts.iter_mut().find(|c| Some(c.id) == known) {
            Some(contact) => {
                contact.name = added.name;
                contact.card = added.card;
                contact.clone()
            }
            None => {
                draft.contacts.push(added.clone());
                added
            }
        };
        self.commit(draft)?;
        Ok(contact)
    }

    /// The contact with this name, messaging key or .onion name.
    ///
    /// # Errors
    /// [`WalletError::UnknownContact`].
    pub fn contact(&self, name: &str) -> Result<&Contact, WalletError> {
        let key: Option<MessagingKey> = name.parse().ok().or(parse_onion_name(name).ok());
        self.state
            .contacts
            .iter()
            .find(|contact| contact.name == name || key.is_some_and(|k| contact.keys.contains(&k)))
            .ok_or_else(|| WalletError::UnknownContact {
                name: name.to_owned(),
            })
    }

    /// What to call the owner of a messaging key: a contact's name, or the key's .onion name.
    #[must_use]
    pub fn name_of(&self, key: &MessagingKey) -> String {
        match contact_of(&self.state, key) {
            Some(contact) => contact.name.clone(),
            None => onion_name(key),
        }
    }
}

/// The contact that has or had this messaging key.
pub(super) fn contact_of<'s>(state: &'s State, key: &MessagingKey) -> Option<&'s Contact> {
    state
        .contacts
        .iter()
        .find(|contact| contact.keys.contains(key))
}
