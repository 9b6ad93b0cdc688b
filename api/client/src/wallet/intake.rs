//! Opens verified messages and notes what they change, before anything is stored.

use satpost_domain::{MessageId, MessagingKey, Timestamp};

use super::Notice;
use super::contacts::contact_of;
use crate::contact_card::ContactCard;
use crate::envelope::{Content, Envelope, EnvelopeError};
use crate::keys::MessagingSecret;
use crate::link::ReceivedSeries;
use crate::mailbox_check::VerifiedMessage;
use crate::sealing::{OpenError, open};
use crate::store::{Record, RecordId, State};

/// What one page of a mailbox came to, before it is stored.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) records: Vec<(RecordId, Record)>,
    pub(super) to_park: Vec<(MessageId, String)>,
    pub(super) notices: Vec<Notice>,
}

impl Intake {
    /// Opens one message and notes what it changes.
    pub(super) fn add(
        &mut self,
        draft: &mut State,
        secret: &MessagingSecret,
        message: &VerifiedMessage,
    ) {
        let id = RecordId::Mailbox {
            generation: secret.generation(),
            seq: message.head.seq,
        };
        let accepted_at = message.accepted_at;
        let record = match (&message.body, &message.gone) {
            (Some(body), _) => match open(body, secret) {
                Ok(envelope) => match self.receive(draft, &envelope, accepted_at) {
                    Some(record) => record,
                    None => return,
                },
                Err(error) => {
                    let reason = park_reason(error).to_owned();
                    self.to_park.push((message.id, reason));
                    Record::Unreadable {
                        id: message.id,
                        reason: error.to_string(),
                        accepted_at,
                    }
                }
            },
            (None, Some(reason)) => Record::Gone {
                reason: reason.clone(),
                accepted_at,
            },
            // Parked in an earlier life of this wallet.
            (None, None) => return,
        };
        self.records.push((id, record));
    }

    /// Places an opened message in its series; nothing for one that came before.
    fn receive(
        &mut self,
        draft: &mut State,
        envelope: &Envelope,
        accepted_at: Timestamp,
    ) -> Option<Record> {
        let contact = contact_of(draft, &envelope.sender).map(|contact| contact.id);
        let series = (contact.unwrap_or(envelope.sender), envelope.series);
        let known = draft.received.get(&series);
        let continuity = match ReceivedSeries::receive(known, envelope) {
            Ok((next, continuity)) => {
                draft.received.insert(series, next);
                continuity
            }
            Err(replayed) => {
                self.notices.push(Notice::Replayed {
                    sender: envelope.sender,
                    counter: replayed.counter,
                });
                return None;
            }
        };
        if let (Content::Card(text), Some(contact)) = (&envelope.content, contact) {
            self.take_card(draft, contact, envelope.sender, text);
        }
        Some(Record::Received {
            sender: envelope.sender,
            contact,
            kind: envelope.content.kind(),
            text: envelope.content.text().to_owned(),
            sent_at: envelope.sent_at,
            accepted_at,
            continuity,
        })
    }

    /// Takes over the card that a contact sent. Only the contact's present key may name the next one.
    fn take_card(
        &mut self,
        draft: &mut State,
        contact: MessagingKey,
        sender: MessagingKey,
        text: &str,
    ) {
        let card: Option<ContactCard> = text.parse().ok();
        let key = card.as_ref().map(ContactCard::messaging_key);
        let foreign = key
            .and_then(|key| contact_of(draft, &key))
            .is_some_and(|owner| owner.id != contact);
        let known = draft.contacts.iter_mut().find(|known| known.id == contact);
        match (key, known) {
            (Some(key), Some(known)) if !foreign && known.messaging_key() == sender => {
                if !known.keys.contains(&key) {
                    known.keys.push(key);
                }
                known.card = text.to_owned();
                let name = known.name.clone();
                self.notices.push(Notice::ContactChanged { name });
            }
            _ => self.notices.push(Notice::CardRefused { sender }),
        }
    }
}

/// Which of the server's reasons fits.
fn park_reason(error: OpenError) -> &'static str {
    match error {
        OpenError::NotForMe => "decrypt",
        OpenError::Envelope(
            EnvelopeError::UnknownVersion { .. } | EnvelopeError::UnknownKind { .. },
        )
        | OpenError::Size { .. } => "format",
        OpenError::Envelope(EnvelopeError::Malformed { .. }) | OpenError::BadSignature => "other",
    }
}
