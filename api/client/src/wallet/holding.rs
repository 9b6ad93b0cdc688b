//! Holding on when a server's account does not hold: evidence is written, and the mailbox is left alone
//! until a person has looked into it.

use std::path::PathBuf;

use satpost_api_types::messages::{AcknowledgeMessagesResponse, FetchMessagesResponse, SignedHead};

use super::{Wallet, WalletError};
use crate::evidence::{self, Evidence};
use crate::mailbox_check::{KeptReceipt, MailboxMismatch};
use crate::store::MailboxRecord;

/// How many heads, and how many receipts, are kept of each mailbox.
const KEPT_MAX: usize = 16;

impl Wallet {
    /// What servers broke, oldest first, and where it lies.
    ///
    /// # Errors
    /// [`WalletError::Store`].
    pub fn evidence(&self) -> Result<Vec<(PathBuf, Evidence)>, WalletError> {
        Ok(evidence::read_all(&self.options.folder)?)
    }

    /// Nothing is fetched from a server that was found out.
    pub(super) fn check_evidence(&self) -> Result<(), WalletError> {
        let mut mailboxes = self.state.mailboxes.iter();
        let halted =
            mailboxes.find_map(|mailbox| Some((mailbox.generation, mailbox.evidence.as_deref()?)));
        match halted {
            None => Ok(()),
            Some((generation, name)) => Err(WalletError::Halted {
                generation,
                evidence: evidence::path_of(&self.options.folder, name),
            }),
        }
    }

    /// Keeps an answer that does not hold; gives the error that says so.
    pub(super) fn hold_answer(
        &mut self,
        generation: u32,
        mismatch: MailboxMismatch,
        answer: FetchMessagesResponse,
    ) -> Result<WalletError, WalletError> {
        self.hold(generation, mismatch, |evidence| {
            evidence.with_answer(answer)
        })
    }

    /// Keeps the answer to an acknowledgement that does not hold.
    pub(super) fn hold_acknowledgement(
        &mut self,
        generation: u32,
        mismatch: MailboxMismatch,
        answer: AcknowledgeMessagesResponse,
    ) -> Result<WalletError, WalletError> {
        self.hold(generation, mismatch, |evidence| Evidence {
            acknowledgement: Some(answer),
            ..evidence
        })
    }

    fn hold(
        &mut self,
        generation: u32,
        mismatch: MailboxMismatch,
        complete: impl FnOnce(Evidence) -> Evidence,
    ) -> Result<WalletError, WalletError> {
        let mut draft = self.state.clone();
        let mailbox = draft
            .mailboxes
            .iter_mut()
            .find(|mailbox| mailbox.generation == generation);
        let mut path = None;
        if let Some(mailbox) = mailbox.filter(|_| mismatch.is_evidence()) {
            let about = (self.messaging(generation).public(), generation);
            let fault = mismatch.to_string();
            let found = Evidence {
                known: mailbox.stored,
                heads: mailbox.heads.clone(),
                receipts: mailbox.receipts.clone(),
                ..Evidence::new(self.now(), self.server(), self.server_key()?, about, fault)
            };
            let name = evidence::write(&self.options.folder, &complete(found))?;
            path = Some(evidence::path_of(&self.options.folder, &name));
            mailbox.evidence = Some(name);
        }
        self.commit(draft)?;
        Ok(WalletError::Mailbox {
            generation,
            mismatch,
            evidence: path,
        })
    }
}

impl MailboxRecord {
    /// Keeps what the server signed, to hold it against later words.
    pub(super) fn keep_head(&mut self, head: &SignedHead) {
        if self.heads.last() != Some(head) {
            keep(&mut self.heads, head.clone());
        }
    }

    /// Keeps a receipt, if there is one.
    pub(super) fn keep_receipt(&mut self, receipt: Option<KeptReceipt>) {
        if let Some(receipt) = receipt {
            keep(&mut self.receipts, receipt);
        }
    }
}

fn keep<T>(kept: &mut Vec<T>, one: T) {
    if kept.len() >= KEPT_MAX {
        kept.remove(0);
    }
    kept.push(one);
}
