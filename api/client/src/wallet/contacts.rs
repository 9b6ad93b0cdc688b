//! Cards, contacts, and those who ask to be one.

use satpost_api_types::mailboxes::{DeliveryTokenUse, StrangerPolicy};
use satpost_domain::limits::MESSAGE_TTL_MAX;
use satpost_domain::{MessagingKey, Timestamp};

use super::{SendOutcome, Wallet, WalletError};
use crate::contact_card::{CardFields, ContactCard};
use crate::envelope::Content;
use crate::onion::{onion_name, parse_onion_name};
use crate::receive_address::receive_address;
use crate::store::{Contact, HeldToken, Standing, State};
use crate::token::TokenSecret;

/// How many contacts a wallet has at most: each may need a token, of which a mailbox has 2,048.
pub const CONTACTS_MAX: usize = 1_536;
/// How many people who ask to be contacts are remembered; the oldest makes room for the next.
pub(super) const REQUESTS_MAX: usize = 256;
/// How many of the latest cards with a token are good; the next one ends the oldest.
pub const CARD_TOKENS_MAX: usize = 64;

impl Wallet {
    /// A card of this wallet for everybody: those who have it must work to write first. With `payment` it
    /// names the next receive address, without using it up.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn card(&self, payment: bool) -> Result<ContactCard, WalletError> {
        self.card_of(self.state.generation, payment, None)
    }

    /// A card of this wallet for one person, with a token of its own that lets them write first without
    /// work. The latest 64 such cards are good, each once.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn show_card(&mut self, payment: bool) -> Result<ContactCard, WalletError> {
        self.registered()?;
        let token = TokenSecret::mint(self.options.http.entropy.as_ref());
        let card = self.card_of(self.state.generation, payment, Some(&token))?;
        // Written down first: a token that the server knows and the wallet does not could never be ended.
        let mut draft = self.state.clone();
        draft.card_tokens.push(token.hash());
        let spare = draft.card_tokens.len().saturating_sub(CARD_TOKENS_MAX);
        let ended = draft.card_tokens.drain(..spare);
        draft.to_revoke.extend(ended);
        self.commit(draft)?;
        self.revoke_tokens().await?;
        let messaging = self.messaging(self.state.generation);
        self.http()?
            .add_delivery_tokens(&messaging, &[token.hash()], DeliveryTokenUse::Once)
            .await?;
        Ok(card)
    }

    pub(super) fn card_of(
        &self,
        generation: u32,
        payment: bool,
        token: Option<&TokenSecret>,
    ) -> Result<ContactCard, WalletError> {
        let address = match payment {
            true => {
                let index = self.state.next_address;
                Some(receive_address(&self.seed, self.network()?, index)?.to_string())
            }
            false => None,
        };
        let fields = CardFields {
            name: &self.state.display_name,
            payment_address: address.as_deref(),
            server: Some(self.server()),
            token,
        };
        Ok(ContactCard::sign(&self.messaging(generation), fields)?)
    }

    /// Adds the owner of `card`, or takes over a newer card of a contact with the same key. Without
    /// `name` the contact is called as its card says. Whoever asked to be a contact is accepted by it.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn add_contact(
        &mut self,
        card: &ContactCard,
        name: Option<&str>,
    ) -> Result<Contact, WalletError> {
        let key = card.messaging_key();
        if self.is_own(&key) {
            return Err(WalletError::OwnCard);
        }
        let name = name.unwrap_or(card.name());
        let mut draft = self.state.clone();
        let known = contact_of(&draft, &key).map(|contact| contact.id);
        check_name(&draft, name, known)?;
        let contact = match draft.contacts.iter_mut().find(|c| Some(c.id) == known) {
            Some(contact) => contact,
            None => {
                check_room(&draft)?;
                draft.contacts.push(new_contact(key, self.now()));
                draft.contacts.last_mut().expect("one was added")
            }
        };
        contact.name = name.to_owned();
        contact.standing = Standing::Accepted;
        contact.card = Some(card.to_string());
        if let (Some(token), false) = (card.token(), contact.lets_us_write()) {
            contact.their_token = Some(HeldToken::Once(token.clone()));
        }
        let contact = contact.clone();
        self.commit(draft)?;
        Ok(contact)
    }

    /// Accepts someone who asked to be a contact, under `new_name` if that is given, and sends them a
    /// token that lets them write from now on.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn accept_contact(
        &mut self,
        name: &str,
        new_name: Option<&str>,
    ) -> Result<(Contact, SendOutcome), WalletError> {
        self.registered()?;
        let id = self.contact(name)?.id;
        let mut draft = self.state.clone();
        if let Some(new_name) = new_name {
            check_name(&draft, new_name, Some(id))?;
        }
        let generation = draft.generation;
        for contact in draft.contacts.iter_mut().filter(|contact| contact.id == id) {
            contact.standing = Standing::Accepted;
            contact.name = new_name.unwrap_or(&contact.name).to_owned();
        }
        let ttl = Some(MESSAGE_TTL_MAX);
        let greeting = self.enqueue(&mut draft, id, generation, &Content::Greeting, ttl)?;
        self.commit(draft)?;
        let outcomes = self.flush_outbox().await?;
        let outcome = outcomes
            .into_iter()
            .find_map(|(sent, outcome)| (sent == greeting).then_some(outcome));
        let contact = self.contact_by_id(id).cloned().expect("it was accepted");
        Ok((contact, outcome.unwrap_or(SendOutcome::Queued)))
    }

    /// Forgets a contact, or someone who asked to be one, and everything that waits to be sent to them.
    /// Their token is good no more, so they are strangers again. Messages that were received stay.
    ///
    /// Returns the contact as it was, and whether the server knows of it already: otherwise it is told
    /// with the next messages.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn remove_contact(&mut self, name: &str) -> Result<(Contact, bool), WalletError> {
        let contact = self.contact(name)?.clone();
        let mut draft = self.state.clone();
        draft.contacts.retain(|other| other.id != contact.id);
        draft.outbox.retain(|pending| pending.contact != contact.id);
        let token = contact.our_token.iter();
        draft
            .to_revoke
            .extend(token.map(|token| token.secret.hash()));
        self.commit(draft)?;
        match self.revoke_tokens().await {
            Ok(()) => Ok((contact, true)),
            Err(WalletError::Call(_) | WalletError::NotRegistered) => Ok((contact, false)),
            Err(error) => Err(error),
        }
    }

    /// Changes what becomes of messages of strangers.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn set_stranger_policy(&self, policy: StrangerPolicy) -> Result<(), WalletError> {
        self.registered()?;
        let messaging = self.messaging(self.state.generation);
        let http = self.http()?;
        Ok(http.set_stranger_policy(&messaging, policy).await?)
    }

    /// Who has this name, messaging key or .onion name: a contact, or someone who asks to be one.
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

    pub(super) fn contact_by_id(&self, id: MessagingKey) -> Option<&Contact> {
        self.state.contacts.iter().find(|contact| contact.id == id)
    }

    fn is_own(&self, key: &MessagingKey) -> bool {
        let mut mailboxes = self.state.mailboxes.iter();
        mailboxes.any(|mailbox| self.messaging(mailbox.generation).public() == *key)
            || self.messaging_key() == *key
    }
}

/// Someone of whom nothing but the key is known.
pub(super) fn new_contact(key: MessagingKey, added_at: Timestamp) -> Contact {
    Contact {
        id: key,
        name: onion_name(&key),
        standing: Standing::Requested,
        card: None,
        keys: vec![key],
        added_at,
        sending: None,
        their_token: None,
        our_token: None,
    }
}

/// The contact that has or had this messaging key.
pub(super) fn contact_of<'s>(state: &'s State, key: &MessagingKey) -> Option<&'s Contact> {
    state
        .contacts
        .iter()
        .find(|contact| contact.keys.contains(key))
}

fn check_name(state: &State, name: &str, owner: Option<MessagingKey>) -> Result<(), WalletError> {
    let taken = |contact: &Contact| contact.name == name && Some(contact.id) != owner;
    if state.contacts.iter().any(taken) {
        return Err(WalletError::ContactNameTaken {
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn check_room(state: &State) -> Result<(), WalletError> {
    let accepted = state
        .contacts
        .iter()
        .filter(|contact| contact.is_accepted());
    if accepted.count() >= CONTACTS_MAX {
        return Err(WalletError::TooManyContacts);
    }
    Ok(())
}
