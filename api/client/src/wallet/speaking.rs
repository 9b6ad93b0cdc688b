//! What the wallet says to other wallets by itself: a token for contacts who knock, and that there is room
//! again after the mailbox was full. All of it is written down together with what it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use satpost_domain::limits::MESSAGE_TTL_MAX;
use satpost_domain::{MessagingKey, Timestamp};

use super::{Wallet, WalletError};
use crate::envelope::Content;
use crate::store::{MailboxRecord, State};

/// How long it is worth knowing that there is room again.
const ROOM_TTL: Duration = Duration::from_secs(24 * 3600);

impl Wallet {
    /// Lets contacts who came as strangers have a token, unless a message with one is on its way. True
    /// when there is something to send.
    pub(super) fn greet(
        &self,
        draft: &mut State,
        contacts: &BTreeSet<MessagingKey>,
    ) -> Result<bool, WalletError> {
        for &contact in contacts {
            let mut outbox = draft.outbox.iter();
            if !outbox.any(|pending| pending.contact == contact) {
                let generation = draft.generation;
                let ttl = Some(MESSAGE_TTL_MAX);
                self.enqueue(draft, contact, generation, &Content::Greeting, ttl)?;
            }
        }
        Ok(!contacts.is_empty())
    }

    /// Tells every contact that lets this wallet write that there is room again.
    pub(super) fn tell_room(&self, draft: &mut State) -> Result<(), WalletError> {
        let contacts: Vec<MessagingKey> = draft
            .contacts
            .iter()
            .filter(|contact| contact.is_accepted() && contact.lets_us_write())
            .map(|contact| contact.id)
            .collect();
        let generation = draft.generation;
        for contact in contacts {
            let ttl = Some(ROOM_TTL);
            self.enqueue(draft, contact, generation, &Content::RoomAgain, ttl)?;
        }
        Ok(())
    }
}

impl MailboxRecord {
    /// Notes that the mailbox is full, once each time.
    pub(super) fn note_full(&mut self, since: Option<Timestamp>) {
        if since.is_some() && since != self.told_full {
            self.full_since = since;
        }
    }

    /// True once after each time of being full, to be asked when messages were let go.
    pub(super) fn has_room_to_tell(&mut self) -> bool {
        match self.full_since.take() {
            None => false,
            since => {
                self.told_full = since;
                true
            }
        }
    }
}
