//! What a message shows to be let in: a token of its recipient, or work.

use std::sync::Arc;

use satpost_api_types::messages::SendMessageResponse;
use satpost_domain::MessagingKey;
use satpost_domain::hash::sha256;
use satpost_domain::mailbox::{WorkProof, WorkSubject};

use super::{Wallet, WalletError};
use crate::http::{CallError, Posting};
use crate::store::{Contact, HeldToken, PendingMessage, SealedMessage};
use crate::token::TokenSecret;
use crate::work::work;

/// What is shown with a message.
#[derive(Debug)]
pub(super) enum Introduction {
    /// The signature of this wallet: the server learns who sends.
    Signature,
    /// A token that the recipient gave in a message.
    Lasting(TokenSecret),
    /// A token of the recipient's card.
    Once(TokenSecret),
    /// Work for this message.
    Work(WorkProof),
}

impl Introduction {
    /// True when the recipient takes it for a stranger's message, as long as it knocks strangers.
    pub(super) const fn is_knock(&self) -> bool {
        matches!(self, Self::Once(_) | Self::Work(_))
    }

    pub(super) const fn token(&self) -> Option<&TokenSecret> {
        match self {
            Self::Lasting(token) | Self::Once(token) => Some(token),
            Self::Signature | Self::Work(_) => None,
        }
    }
}

impl Wallet {
    /// Finds what lets `pending` in; works for it when there is nothing else.
    ///
    /// # Errors
    /// [`WalletError::TooMuchWork`] when the server asks for more than this wallet is willing to do.
    pub(super) async fn introduce(
        &self,
        pending: &PendingMessage,
        sealed: &SealedMessage,
    ) -> Result<Introduction, WalletError> {
        if pending.signed {
            return Ok(Introduction::Signature);
        }
        let contact = self.contact_by_id(pending.contact);
        match contact.and_then(|contact| contact.their_token.clone()) {
            Some(HeldToken::Lasting(token)) => return Ok(Introduction::Lasting(token)),
            Some(HeldToken::Once(token)) => return Ok(Introduction::Once(token)),
            None => {}
        }
        let http = self.http()?;
        let (bits, max) = (
            http.get_info().await?.knock_work_bits,
            self.options.work_bits_max,
        );
        if bits > max {
            return Err(WalletError::TooMuchWork { bits, max });
        }
        let subject = WorkSubject {
            recipient: sealed.recipient,
            digest: sha256(&sealed.body),
            command_id: pending.command,
        };
        Ok(Introduction::Work(
            work(Arc::clone(&http), subject, bits).await,
        ))
    }

    /// Sends a sealed message with what lets it in.
    pub(super) async fn post(
        &self,
        pending: &PendingMessage,
        sealed: &SealedMessage,
        introduction: &Introduction,
    ) -> Result<SendMessageResponse, WalletError> {
        let http = self.http()?;
        let (recipient, body) = (&sealed.recipient, sealed.body.as_slice());
        let (ttl, command) = (pending.ttl, pending.command);
        let work = match introduction {
            Introduction::Signature => {
                let identity = &self.identity;
                let sent = http.send_message(identity, recipient, body, ttl, command);
                return Ok(sent.await?);
            }
            Introduction::Work(work) => Some(*work),
            Introduction::Lasting(_) | Introduction::Once(_) => None,
        };
        let posting = Posting {
            recipient,
            body,
            ttl,
            command,
            token: introduction.token(),
            work,
        };
        Ok(http.send_unnamed(&posting).await?)
    }

    /// Forgets a token that was spent, or is not good (any more).
    pub(super) fn forget_token(
        &mut self,
        contact: MessagingKey,
        token: &TokenSecret,
    ) -> Result<(), WalletError> {
        let mut draft = self.state.clone();
        forget_token(&mut draft.contacts, contact, token);
        self.commit(draft)
    }
}

/// Forgets `token` unless the contact has given another one since.
pub(super) fn forget_token(contacts: &mut [Contact], contact: MessagingKey, token: &TokenSecret) {
    let is_it = |held: &mut HeldToken| match held {
        HeldToken::Lasting(held) | HeldToken::Once(held) => held == token,
    };
    for contact in contacts.iter_mut().filter(|known| known.id == contact) {
        contact.their_token.take_if(is_it);
    }
}

/// The failure of a call, for flows in which it is no failure of the flow.
pub(super) fn of_call<T>(
    result: Result<T, WalletError>,
) -> Result<Result<T, CallError>, WalletError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(WalletError::Call(error)) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}
