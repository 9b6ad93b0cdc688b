//! Opens verified messages and notes what they change, before anything is stored.

use std::collections::BTreeSet;

use satpost_domain::{MessageId, MessagingKey, Timestamp};

use super::Notice;
use super::contacts::{REQUESTS_MAX, contact_of, new_contact};
use crate::contact_card::ContactCard;
use crate::envelope::{Content, Envelope, EnvelopeError, is_for_people};
use crate::keys::MessagingSecret;
use crate::link::{Continuity, ReceivedSeries};
use crate::mailbox_check::VerifiedMessage;
use crate::sealing::{OpenError, open};
use crate::store::{HeldToken, Record, RecordId, State};

/// What one page of a mailbox came to, before it is stored.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) records: Vec<(RecordId, Record)>,
    pub(super) to_park: Vec<(MessageId, String)>,
    pub(super) notices: Vec<Notice>,
    /// Contacts who write as strangers: they have no token of this wallet (any more).
    pub(super) to_greet: BTreeSet<MessagingKey>,
}

impl Intake {
    /// Opens one message of a mailbox and notes what it changes. `secrets` begin with the mailbox's
    /// own, followed by the earlier ones: a mailbox also gets what was sealed for those.
    pub(super) fn add(
        &mut self,
        draft: &mut State,
        secrets: &[MessagingSecret],
        message: &VerifiedMessage,
    ) {
        let id = RecordId::Mailbox {
            generation: secrets[0].generation(),
            seq: message.head.seq,
        };
        let accepted_at = message.accepted_at;
        let record = match (&message.body, &message.gone) {
            (Some(body), _) => match open_with(body, secrets) {
                Ok(envelope) => match self.receive(draft, &envelope, message) {
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

    /// Places an opened message in its series; nothing for one that came before, and for what wallets
    /// say to each other.
    fn receive(
        &mut self,
        draft: &mut State,
        envelope: &Envelope,
        message: &VerifiedMessage,
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
        let contact = self.take_token(draft, envelope, continuity, message.accepted_at);
        if let Some(contact) = contact {
            self.answer(draft, contact, envelope, message.knock);
        }
        let kind = envelope.content.kind();
        is_for_people(kind).then(|| Record::Received {
            sender: envelope.sender,
            contact,
            kind,
            text: envelope.content.text().to_owned(),
            sent_at: envelope.sent_at,
            accepted_at: message.accepted_at,
            continuity,
            knock: message.knock,
        })
    }

    /// Keeps the token that came with a message; a stranger is remembered as one who asks to be a
    /// contact. Gives the contact the message is from.
    fn take_token(
        &mut self,
        draft: &mut State,
        envelope: &Envelope,
        continuity: Continuity,
        at: Timestamp,
    ) -> Option<MessagingKey> {
        if contact_of(draft, &envelope.sender).is_none() {
            if matches!(envelope.content, Content::RoomAgain) {
                return None;
            }
            make_room_for_request(draft);
            draft.contacts.push(new_contact(envelope.sender, at));
            let sender = envelope.sender;
            self.notices.push(Notice::ContactRequested { sender });
        }
        let contact = draft
            .contacts
            .iter_mut()
            .find(|contact| contact.keys.contains(&envelope.sender))?;
        // One that comes late was perhaps replaced meanwhile.
        if let (Some(token), false) = (&envelope.token, continuity == Continuity::Late) {
            contact.their_token = Some(HeldToken::Lasting(token.clone()));
        }
        contact.is_accepted().then_some(contact.id)
    }

    /// What the content of a contact's message changes here.
    fn answer(
        &mut self,
        draft: &mut State,
        contact: MessagingKey,
        envelope: &Envelope,
        knock: bool,
    ) {
        match &envelope.content {
            Content::Text(_) => {}
            Content::Card(text) => self.take_card(draft, contact, envelope.sender, text),
            Content::Greeting => self.notices.push(Notice::Greeted {
                sender: envelope.sender,
            }),
            Content::RoomAgain => {
                for pending in &mut draft.outbox {
                    if pending.contact == contact {
                        pending.not_before = None;
                    }
                }
                self.notices.push(Notice::RoomAgain {
                    sender: envelope.sender,
                });
            }
        }
        if knock {
            self.to_greet.insert(contact);
        }
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
                known.card = Some(text.to_owned());
                let name = known.name.clone();
                self.notices.push(Notice::ContactChanged { name });
            }
            _ => self.notices.push(Notice::CardRefused { sender }),
        }
    }
}

/// Opens a body with the first key that fits.
fn open_with(body: &[u8], secrets: &[MessagingSecret]) -> Result<Envelope, OpenError> {
    let attempts = secrets.iter().map(|secret| open(body, secret));
    let mut opened = attempts.filter(|opened| *opened != Err(OpenError::NotForMe));
    opened.next().unwrap_or(Err(OpenError::NotForMe))
}

/// Forgets whoever asked first when too many ask.
fn make_room_for_request(draft: &mut State) {
    let asks = |index: &usize| !draft.contacts[*index].is_accepted();
    let requests: Vec<usize> = (0..draft.contacts.len()).filter(asks).collect();
    if requests.len() >= REQUESTS_MAX {
        draft.contacts.remove(requests[0]);
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
