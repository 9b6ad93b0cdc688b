//! Backups: everything beside the words, into a file and back.
//!
//! A restored wallet may know less than the one it takes the place of, so nothing that must be used once
//! is used again: it begins new series, gives what waited to be sent new idempotency keys and seals it
//! anew, and takes the server's word for where its mailboxes stand. A message that waited when the
//! backup was made and was sent after it is sent twice, which its recipient can see.

use std::path::Path;

use satpost_domain::Timestamp;

use super::tokens::register_again;
use super::{Wallet, WalletError};
use crate::backup::{self, Backup};
use crate::keys::StoreKey;
use crate::ports::draw_command_id;
use crate::store::{MailboxRecord, State};

/// What a backup brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredBackup {
    /// When it was made.
    pub made_at: Timestamp,
    /// How many contacts, and people who ask to be one, it had.
    pub contacts: usize,
    /// How many messages it had.
    pub messages: usize,
    /// How many messages waited to be sent.
    pub waiting: usize,
}

impl Wallet {
    /// Writes everything this wallet keeps beside its words into a new file that only the words open.
    ///
    /// # Errors
    /// [`WalletError::FileExists`], [`WalletError::Store`].
    pub fn export_backup(&self, path: &Path) -> Result<(), WalletError> {
        if backup::exists(path) {
            let path = path.to_owned();
            return Err(WalletError::FileExists { path });
        }
        let content = Backup {
            made_at: self.now(),
            state: self.state.clone(),
            records: self.store.read_named_records()?,
        };
        let (key, entropy) = (StoreKey::derive(&self.seed), &self.options.http.entropy);
        Ok(backup::write(path, &content, &key, entropy.as_ref())?)
    }

    /// Takes over a backup, into a wallet that was restored from the same words and not used yet. The
    /// wallet must be registered (again) after that.
    ///
    /// # Errors
    /// [`WalletError::NotFresh`], [`WalletError::Backup`], [`WalletError::Store`].
    pub fn import_backup(&mut self, path: &Path) -> Result<RestoredBackup, WalletError> {
        let state = &self.state;
        if state.registered_at.is_some() || !state.contacts.is_empty() || !state.outbox.is_empty() {
            return Err(WalletError::NotFresh);
        }
        let restored = backup::read(path, &StoreKey::derive(&self.seed))?;
        let draft = self.resume(restored.state);
        let report = RestoredBackup {
            made_at: restored.made_at,
            contacts: draft.contacts.len(),
            messages: restored.records.len(),
            waiting: draft.outbox.len(),
        };
        // The state last: a restore that is cut off before it begins anew.
        let entropy = self.options.http.entropy.clone();
        self.store
            .write_named_records(&restored.records, entropy.as_ref())?;
        self.commit(draft)?;
        Ok(report)
    }

    /// The state of a wallet that takes the place of another with what that one knew once.
    fn resume(&self, mut state: State) -> State {
        let entropy = self.options.http.entropy.as_ref();
        state.restored = true;
        state.registered_at = None;
        state.position = None;
        state.push = None;
        state.next_address = state.next_address.max(self.state.next_address);
        state
            .mailboxes
            .iter_mut()
            .for_each(MailboxRecord::start_anew);
        for contact in &mut state.contacts {
            contact.sending = None;
        }
        for pending in &mut state.outbox {
            pending.command = draw_command_id(entropy);
            pending.sealed = None;
            pending.not_before = None;
        }
        register_again(&mut state);
        state
    }
}
