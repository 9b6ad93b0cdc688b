//! Becoming known to a server, changing the messaging key, and leaving.

use satpost_api_types::problem::ProblemCode;
use satpost_api_types::service::InfoResponse;
use satpost_domain::ids::parse_hex;
use satpost_domain::limits::MESSAGE_TTL_MAX;
use satpost_domain::network::Network;
use satpost_domain::{ClientId, MessagingKey, Timestamp};

use super::tokens::register_again;
use super::{Wallet, WalletError};
use crate::envelope::Content;
use crate::mailbox_check::VerifiedHead;
use crate::store::{MailboxRecord, State};

/// How many generations of messaging keys a restored wallet looks through.
const GENERATIONS_TRIED: u32 = 1_024;
/// How many earlier mailboxes a restored wallet looks into.
const EARLIER_MAILBOXES: u32 = 4;

impl Wallet {
    /// Registers this wallet and pins the server's key. Repeating it does no harm. A restored
    /// wallet finds its messaging key and its addresses again.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn register_client(&mut self) -> Result<(), WalletError> {
        let http = self.http()?;
        let info = http.get_info().await?;
        let mut draft = self.state.clone();
        pin_server(&mut draft, &info)?;
        draft.server.url = Some(http.base().to_string());

        let generation = draft.generation;
        let registered = http
            .register_client(&self.identity, &self.messaging(generation))
            .await;
        let registered_at = match registered {
            Ok(answer) => answer.registered_at,
            Err(error) if error.code() == Some(ProblemCode::AlreadyRegistered) => {
                let client = http.get_client(&self.identity).await?;
                draft.generation = self.find_generation(&client.messaging_key)?;
                client.registered_at
            }
            Err(error) => return Err(error.into()),
        };
        draft.registered_at = Some(Timestamp::from_millis(registered_at));
        self.open_mailboxes(&mut draft);
        self.commit(draft)?;
        if self.state.restored {
            self.recover_addresses().await?;
        }
        Ok(())
    }

    /// Gives this wallet another messaging key and tells its contacts, by a message under the old
    /// one. The old mailbox is read until no message can be in it any more.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn rotate_messaging_key(&mut self) -> Result<MessagingKey, WalletError> {
        self.registered()?;
        let http = self.http()?;
        let old = self.state.generation;
        let next = self.messaging(old + 1);
        // Written down first: after a crash behind the call the new mailbox is read all the same.
        let mut draft = self.state.clone();
        if !draft.mailboxes.iter().any(|m| m.generation == old + 1) {
            let start = VerifiedHead::start(&next.public());
            draft
                .mailboxes
                .push(MailboxRecord::new(old + 1, Some(start)));
            self.commit(draft)?;
        }
        http.rotate_messaging_key(&self.identity, &next).await?;

        let mut draft = self.state.clone();
        draft.generation = old + 1;
        let drained_at = self.now().plus(MESSAGE_TTL_MAX);
        for mailbox in &mut draft.mailboxes {
            if mailbox.generation <= old {
                mailbox.drained_at.get_or_insert(drained_at);
            }
        }
        register_again(&mut draft);
        let card = self.card_of(old + 1, false, None)?.to_string();
        let contacts = draft
            .contacts
            .iter()
            .filter(|contact| contact.is_accepted());
        let contacts: Vec<_> = contacts.map(|contact| contact.id).collect();
        for contact in contacts {
            let content = Content::Card(card.clone());
            self.enqueue(&mut draft, contact, old, &content, Some(MESSAGE_TTL_MAX))?;
        }
        self.commit(draft)?;
        self.flush_outbox().await?;
        Ok(self.messaging_key())
    }

    /// Ends the registration for good: the server erases what it keeps of this wallet. Messages
    /// that were stored here stay.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn retire_client(&mut self) -> Result<(), WalletError> {
        self.registered()?;
        self.http()?.retire_client(&self.identity).await?;
        let mut draft = self.state.clone();
        draft.registered_at = None;
        draft.mailboxes.clear();
        draft.watched.clear();
        draft.push = None;
        self.commit(draft)
    }

    fn find_generation(&self, messaging_key: &str) -> Result<u32, WalletError> {
        (0..GENERATIONS_TRIED)
            .find(|&generation| self.messaging(generation).public().to_string() == messaging_key)
            .ok_or_else(|| WalletError::ForeignMessagingKey {
                messaging_key: messaging_key.to_owned(),
                tried: GENERATIONS_TRIED,
            })
    }

    /// Makes sure that the current mailbox is read, and for a restored wallet the ones before it.
    fn open_mailboxes(&self, draft: &mut State) {
        let current = draft.generation;
        let first = if draft.restored {
            current.saturating_sub(EARLIER_MAILBOXES)
        } else {
            current
        };
        let drained_at = self.now().plus(MESSAGE_TTL_MAX);
        for generation in first..=current {
            if draft.mailboxes.iter().any(|m| m.generation == generation) {
                continue;
            }
            // What a restored wallet acknowledged in its earlier life is not known any more.
            let start = VerifiedHead::start(&self.messaging(generation).public());
            let mut opened = MailboxRecord::new(generation, (!draft.restored).then_some(start));
            opened.drained_at = (generation < current).then_some(drained_at);
            draft.mailboxes.push(opened);
        }
        draft.mailboxes.sort_by_key(|mailbox| mailbox.generation);
    }
}

/// Checks the server's network and key against what is known, or takes them over.
fn pin_server(draft: &mut State, info: &InfoResponse) -> Result<(), WalletError> {
    let network: Network = info
        .network
        .parse()
        .map_err(|_| WalletError::BadInfo { what: "network" })?;
    match &draft.network {
        Some(wallet) if wallet != network.name() => {
            return Err(WalletError::NetworkMismatch {
                server: network,
                wallet: wallet.clone(),
            });
        }
        _ => draft.network = Some(network.to_string()),
    }
    let key = parse_hex(&info.server_key)
        .ok()
        .and_then(|bytes| ClientId::new(bytes).ok())
        .ok_or(WalletError::BadInfo { what: "key" })?;
    match draft.server.key {
        Some(pinned) if &pinned != key.as_bytes() => Err(WalletError::ServerKeyChanged {
            pinned: ClientId::from_stored(pinned).to_string(),
            actual: key.to_string(),
        }),
        _ => {
            draft.server.key = Some(*key.as_bytes());
            Ok(())
        }
    }
}
