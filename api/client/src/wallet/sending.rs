//! Sending: written down, sealed once, sent until the server has taken it.
//!
//! A message counts in its series only once the server has taken it, so a refused one leaves no
//! gap that its recipient would have to wonder about.

use std::collections::BTreeSet;
use std::time::Duration;

use satpost_api_types::messages::{SendMessageResponse, receipt_bytes};
use satpost_domain::hash::sha256;
use satpost_domain::ids::parse_hex;
use satpost_domain::{CommandId, MessagingKey, Timestamp};

use super::{Wallet, WalletError};
use crate::envelope::{Content, Envelope};
use crate::http::CallError;
use crate::link::SendingSeries;
use crate::ports::{draw, draw_command_id};
use crate::sealing::{check_length, seal};
use crate::store::{PendingMessage, Record, RecordId, SealedMessage, State};

/// How many messages may wait to be sent. Cards after a rotation are let in above it.
const OUTBOX_MAX: usize = 256;

/// What became of a message.
#[derive(Debug)]
pub enum SendOutcome {
    /// The server has taken it and signed for it.
    Accepted(Record),
    /// Not yet: it waits here and is sent with the next messages.
    Waiting(CallError),
    /// It waits behind an earlier one to the same contact.
    Queued,
    /// The server does not take it; it was dropped.
    Refused(CallError),
}

impl Wallet {
    /// Sends text to a contact, and with it everything that still waits.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn send_message(
        &mut self,
        contact: &str,
        text: &str,
        ttl: Option<Duration>,
    ) -> Result<SendOutcome, WalletError> {
        self.registered()?;
        let contact = self.contact(contact)?.id;
        let content = Content::Text(text.to_owned());
        let mut draft = self.state.clone();
        if draft.outbox.len() >= OUTBOX_MAX {
            return Err(WalletError::OutboxFull {
                waiting: draft.outbox.len(),
            });
        }
        let generation = draft.generation;
        let command = self.enqueue(&mut draft, contact, generation, &content, ttl)?;
        self.commit(draft)?;
        let outcomes = self.flush_outbox().await?;
        Ok(outcomes
            .into_iter()
            .find_map(|(sent, outcome)| (sent == command).then_some(outcome))
            .unwrap_or(SendOutcome::Queued))
    }

    /// Sends what still waits, oldest first. Messages to one contact never overtake each other.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn flush_outbox(&mut self) -> Result<Vec<(CommandId, SendOutcome)>, WalletError> {
        let waiting: Vec<_> = self
            .state
            .outbox
            .iter()
            .map(|pending| (pending.command, pending.contact))
            .collect();
        let mut stuck = BTreeSet::new();
        let mut outcomes = Vec::new();
        for (command, contact) in waiting {
            if stuck.contains(&contact) {
                continue;
            }
            let outcome = self.send_pending(command).await?;
            if let SendOutcome::Waiting(error) = &outcome {
                stuck.insert(contact);
                if matches!(error, CallError::Unreachable { .. }) {
                    outcomes.push((command, outcome));
                    break;
                }
            }
            outcomes.push((command, outcome));
        }
        Ok(outcomes)
    }

    pub(super) fn enqueue(
        &self,
        draft: &mut State,
        contact: MessagingKey,
        generation: u32,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<CommandId, WalletError> {
        check_length(content)?;
        let command = draw_command_id(self.options.http.entropy.as_ref());
        draft.outbox.push(PendingMessage {
            command,
            contact,
            generation,
            kind: content.kind(),
            text: content.text().to_owned(),
            ttl,
            written_at: self.now(),
            sealed: None,
        });
        Ok(command)
    }

    async fn send_pending(&mut self, command: CommandId) -> Result<SendOutcome, WalletError> {
        let (pending, sealed) = self.seal_pending(command)?;
        let http = self.http()?;
        let sent = http
            .send_message(
                &self.identity,
                &sealed.recipient,
                &sealed.body,
                pending.ttl,
                command,
            )
            .await;
        match sent {
            Ok(answer) => self.take_receipt(pending, &sealed, &answer),
            Err(error) if error.is_temporary() => Ok(SendOutcome::Waiting(error)),
            Err(error) => {
                let mut draft = self.state.clone();
                draft.outbox.retain(|pending| pending.command != command);
                self.commit(draft)?;
                Ok(SendOutcome::Refused(error))
            }
        }
    }

    /// Seals a pending message unless it is, and stores the seal: a repeat needs the same body.
    fn seal_pending(
        &mut self,
        command: CommandId,
    ) -> Result<(PendingMessage, SealedMessage), WalletError> {
        let mut draft = self.state.clone();
        let pending = draft
            .outbox
            .iter_mut()
            .find(|pending| pending.command == command)
            .expect("only what waits is sent");
        if let Some(sealed) = &pending.sealed {
            return Ok((pending.clone(), sealed.clone()));
        }
        let contact = draft
            .contacts
            .iter()
            .find(|contact| contact.id == pending.contact)
            .expect("contacts are never removed");
        let entropy = self.options.http.entropy.as_ref();
        let series = contact
            .sending
            .clone()
            .unwrap_or_else(|| SendingSeries::begin(draw(entropy)));
        let sender = self.messaging(pending.generation);
        let envelope = Envelope {
            sender: sender.public(),
            series: series.series,
            counter: series.counter + 1,
            previous: series.link,
            sent_at: pending.written_at,
            content: Content::from_parts(pending.kind, pending.text.clone())
                .expect("the kind came from a content"),
        };
        let recipient = contact.messaging_key();
        let sealed = SealedMessage {
            recipient,
            body: seal(&envelope, &sender, &recipient, entropy)?,
            after: SendingSeries::after(&envelope),
        };
        pending.sealed = Some(sealed.clone());
        let pending = pending.clone();
        self.commit(draft)?;
        Ok((pending, sealed))
    }

    /// Stores the message with its receipt and counts it in its series. A message whose receipt
    /// does not verify keeps waiting.
    fn take_receipt(
        &mut self,
        pending: PendingMessage,
        sealed: &SealedMessage,
        answer: &SendMessageResponse,
    ) -> Result<SendOutcome, WalletError> {
        let receipt = parse_hex(&answer.receipt).map_err(|_| WalletError::BadReceipt)?;
        let signed = receipt_bytes(
            sealed.recipient.as_bytes(),
            sha256(&sealed.body).as_bytes(),
            answer.accepted_at,
            answer.expires_at,
        );
        self.server_key()?
            .verify(&signed, &receipt)
            .map_err(|_| WalletError::BadReceipt)?;

        let record = Record::Sent {
            contact: pending.contact,
            kind: pending.kind,
            text: pending.text,
            sent_at: pending.written_at,
            accepted_at: Timestamp::from_millis(answer.accepted_at),
            expires_at: Timestamp::from_millis(answer.expires_at),
            receipt,
        };
        let named = [(RecordId::Sent(pending.command), record.clone())];
        self.store
            .write_records(&named, self.options.http.entropy.as_ref())?;
        let mut draft = self.state.clone();
        draft
            .outbox
            .retain(|other| other.command != pending.command);
        for contact in &mut draft.contacts {
            if contact.id == pending.contact {
                contact.sending = Some(sealed.after.clone());
            }
        }
        self.commit(draft)?;
        Ok(SendOutcome::Accepted(record))
    }
}
