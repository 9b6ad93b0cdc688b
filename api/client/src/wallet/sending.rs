//! Sending: written down, sealed once, sent until the server has taken it.
//!
//! A message counts in its series only once the server has taken it, so a refused one leaves no
//! gap that its recipient would have to wonder about. It is sent without saying who sends it, and
//! carries a token that lets its reader answer (see [`super::introducing`]).

use std::collections::BTreeSet;
use std::time::Duration;

use satpost_api_types::messages::{SendMessageResponse, receipt_bytes};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::hash::sha256;
use satpost_domain::ids::parse_hex;
use satpost_domain::limits::KNOCK_BYTES_MAX;
use satpost_domain::{CommandId, MessagingKey, Timestamp};

use super::introducing::{Introduction, forget_token, of_call};
use super::{Wallet, WalletError};
use crate::envelope::{Content, Envelope, KNOCK_CONTENT_BYTES_MAX, is_for_people};
use crate::http::CallError;
use crate::link::SendingSeries;
use crate::ports::{draw, draw_command_id};
use crate::sealing::{check_length, seal};
use crate::store::{IssuedToken, PendingMessage, Record, RecordId, SealedMessage, State};
use crate::token::TokenSecret;

/// How many messages may wait to be sent. Cards after a rotation are let in above it.
const OUTBOX_MAX: usize = 256;

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// How long it may wait for its recipient; the server's default when not said.
    pub ttl: Option<Duration>,
    /// Tells the server who sends it, instead of showing a token or working for it. Only a mailbox that
    /// is open to strangers takes it.
    pub signed: bool,
}

/// Why a message went as a stranger's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnockReason {
    /// The contact has not written back yet, so there is no lasting token to show.
    NotKnownYet,
    /// The contact's mailbox does not take the token any more: this wallet was removed, or the token
    /// got lost.
    TokenRefused,
}

/// What became of a message.
#[derive(Debug)]
pub enum SendOutcome {
    /// The server has taken it and signed for it.
    Accepted(Record),
    /// The same, but as a stranger's: it may wait among the knocks of its recipient.
    Knocked {
        /// The message with its receipt.
        record: Record,
        /// Why.
        reason: KnockReason,
    },
    /// Not yet: it waits here and is sent with the next messages.
    Waiting(CallError),
    /// It waits behind an earlier one to the same contact.
    Queued,
    /// The server does not take it; it was dropped.
    Refused(CallError),
    /// The server asks for more work than this wallet is willing to do; the message waits here.
    TooMuchWork {
        /// How many bits the server asks for.
        bits: u32,
        /// How many this wallet is willing to do.
        max: u32,
    },
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
        options: SendOptions,
    ) -> Result<SendOutcome, WalletError> {
        self.registered()?;
        let contact = self.contact(contact)?;
        if !contact.is_accepted() {
            let name = contact.name.clone();
            return Err(WalletError::NotAccepted { name });
        }
        if !contact.lets_us_write() && !options.signed && text.len() > KNOCK_CONTENT_BYTES_MAX {
            return Err(WalletError::TooLongForStranger { actual: text.len() });
        }
        let contact = contact.id;
        let content = Content::Text(text.to_owned());
        let mut draft = self.state.clone();
        if draft.outbox.len() >= OUTBOX_MAX {
            return Err(WalletError::OutboxFull {
                waiting: draft.outbox.len(),
            });
        }
        let generation = draft.generation;
        let command = self.enqueue(&mut draft, contact, generation, &content, options.ttl)?;
        for pending in draft.outbox.iter_mut().filter(|p| p.command == command) {
            pending.signed = options.signed;
        }
        self.commit(draft)?;
        let outcomes = self.flush_outbox().await?;
        Ok(outcomes
            .into_iter()
            .find_map(|(sent, outcome)| (sent == command).then_some(outcome))
            .unwrap_or(SendOutcome::Queued))
    }

    /// Sends what still waits, oldest first. Messages to one contact never overtake each other, and
    /// those to a full mailbox wait until it has room or the server's time has come.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn flush_outbox(&mut self) -> Result<Vec<(CommandId, SendOutcome)>, WalletError> {
        // What cannot be told now is told with the next messages.
        of_call(self.revoke_tokens().await)?.ok();
        let now = self.now();
        let waiting: Vec<_> = self
            .state
            .outbox
            .iter()
            .map(|pending| (pending.command, pending.contact, pending.not_before))
            .collect();
        let mut stuck = BTreeSet::new();
        let mut outcomes = Vec::new();
        for (command, contact, not_before) in waiting {
            if stuck.contains(&contact) || not_before.is_some_and(|time| time > now) {
                stuck.insert(contact);
                continue;
            }
            let outcome = self.send_pending(command).await?;
            let is_over = matches!(
                &outcome,
                SendOutcome::Waiting(CallError::Unreachable { .. })
            );
            if matches!(
                outcome,
                SendOutcome::Waiting(_) | SendOutcome::TooMuchWork { .. }
            ) {
                stuck.insert(contact);
            }
            outcomes.push((command, outcome));
            if is_over {
                break;
            }
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
            signed: false,
            not_before: None,
            sealed: None,
        });
        Ok(command)
    }

    async fn send_pending(&mut self, command: CommandId) -> Result<SendOutcome, WalletError> {
        let (pending, sealed) = self.seal_pending(command)?;
        // No token leaves this wallet before the server knows it.
        if let Err(error) = of_call(self.register_tokens().await)? {
            return Ok(SendOutcome::Waiting(error));
        }
        let mut reason = KnockReason::NotKnownYet;
        loop {
            let introduction = match self.introduce(&pending, &sealed).await {
                Ok(introduction) => introduction,
                Err(WalletError::TooMuchWork { bits, max }) => {
                    return Ok(SendOutcome::TooMuchWork { bits, max });
                }
                Err(WalletError::Call(error)) => return Ok(SendOutcome::Waiting(error)),
                Err(error) => return Err(error),
            };
            let sent = of_call(self.post(&pending, &sealed, &introduction).await)?;
            let error = match sent {
                Ok(answer) => {
                    let record = self.take_receipt(pending, &sealed, &introduction, &answer)?;
                    return Ok(match introduction.is_knock() {
                        true => SendOutcome::Knocked { record, reason },
                        false => SendOutcome::Accepted(record),
                    });
                }
                Err(error) => error,
            };
            if error.is_temporary() {
                self.note_full(command, &error)?;
                return Ok(SendOutcome::Waiting(error));
            }
            // Without the token it is a stranger's message, and a small one may come in by work.
            let refused = error.code() == Some(ProblemCode::DeliveryRefused);
            match introduction.token() {
                Some(token) if refused && sealed.body.len() <= KNOCK_BYTES_MAX => {
                    if let Introduction::Lasting(_) = introduction {
                        reason = KnockReason::TokenRefused;
                    }
                    self.forget_token(pending.contact, token)?;
                }
                _ => return self.drop_pending(command, error),
            }
        }
    }

    fn drop_pending(
        &mut self,
        command: CommandId,
        error: CallError,
    ) -> Result<SendOutcome, WalletError> {
        let mut draft = self.state.clone();
        draft.outbox.retain(|pending| pending.command != command);
        self.commit(draft)?;
        Ok(SendOutcome::Refused(error))
    }

    /// Leaves a full mailbox alone for as long as the server says.
    fn note_full(&mut self, command: CommandId, error: &CallError) -> Result<(), WalletError> {
        let retry_after = match error {
            CallError::Refused(refusal) if refusal.code == ProblemCode::QueueFull => {
                refusal.retry_after
            }
            _ => None,
        };
        let Some(retry_after) = retry_after else {
            return Ok(());
        };
        let not_before = Some(self.now().plus(retry_after));
        let mut draft = self.state.clone();
        for pending in draft.outbox.iter_mut().filter(|p| p.command == command) {
            pending.not_before = not_before;
        }
        self.commit(draft)
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
            .iter_mut()
            .find(|contact| contact.id == pending.contact)
            .expect("what waits for a contact is dropped with the contact");
        let entropy = self.options.http.entropy.as_ref();
        let series = contact
            .sending
            .clone()
            .unwrap_or_else(|| SendingSeries::begin(draw(entropy)));
        let our_token = contact.our_token.get_or_insert_with(|| IssuedToken {
            secret: TokenSecret::mint(entropy),
            registered: false,
        });
        let sender = self.messaging(pending.generation);
        let envelope = Envelope {
            sender: sender.public(),
            series: series.series,
            counter: series.counter + 1,
            previous: series.link,
            sent_at: pending.written_at,
            token: Some(our_token.secret.clone()),
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
        introduction: &Introduction,
        answer: &SendMessageResponse,
    ) -> Result<Record, WalletError> {
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
        if is_for_people(pending.kind) {
            let named = [(RecordId::Sent(pending.command), record.clone())];
            self.store
                .write_records(&named, self.options.http.entropy.as_ref())?;
        }
        let mut draft = self.state.clone();
        draft
            .outbox
            .retain(|other| other.command != pending.command);
        for contact in &mut draft.contacts {
            if contact.id == pending.contact {
                contact.sending = Some(sealed.after.clone());
            }
        }
        if let Introduction::Once(token) = introduction {
            forget_token(&mut draft.contacts, pending.contact, token);
        }
        self.commit(draft)?;
        Ok(record)
    }
}
