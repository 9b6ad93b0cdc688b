//! What clients left in the log: registrations, mailboxes, and messages that nobody fetched.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use satpost_commands::ports::{NewEvent, NewPayload};
use satpost_domain::client::ClientEvent;
use satpost_domain::hash::sha256;
use satpost_domain::limits::{MESSAGE_SIZE_BUCKETS, MESSAGE_TTL_DEFAULT};
use satpost_domain::mailbox::{MailboxEvent, SizeBucket, chain_start, extend_chain};
use satpost_domain::{
    ClientId, CommandId, Envelope, Event, EventId, MessageId, MessagingKey, Metadata, PayloadId,
    Position, RequestDigest, Revision, StreamId, Timestamp,
};

use crate::bench::workload::{short, wide};

/// The client with this number, and its mailbox.
#[derive(Clone, Copy)]
pub(super) struct Person {
    number: u64,
    client: ClientId,
    key: MessagingKey,
    /// When everything happened: now, so that nothing expires while it is measured.
    at: Timestamp,
}

impl Person {
    pub(super) fn new(number: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = now.map_or(0, |now| now.as_millis());
        Self {
            number,
            client: ClientId::from_stored(wide(1, number)),
            key: MessagingKey::from_stored(wide(2, number)),
            at: Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)),
        }
    }

    /// It registers.
    pub(super) fn registers(&self, _messages: u64) -> (StreamId, Vec<Event>) {
        let registered = ClientEvent::ClientRegistered {
            client: self.client,
            messaging_key: self.key,
            at: self.at,
        };
        (StreamId::client(self.client), vec![registered.into()])
    }

    /// Its mailbox opens.
    pub(super) fn opens(&self, _messages: u64) -> (StreamId, Vec<Event>) {
        let opened = MailboxEvent::MailboxOpened {
            key: self.key,
            owner: self.client,
            at: self.at,
        };
        (StreamId::mailbox(self.key), vec![opened.into()])
    }

    /// So many messages come.
    pub(super) fn receives(&self, messages: u64) -> (StreamId, Vec<Event>) {
        let accepted = self.accepted(messages).into_iter();
        let events = accepted.map(|(event, _)| event).collect();
        (StreamId::mailbox(self.key), events)
    }

    /// Its first messages, so many, and their bodies.
    pub(super) fn accepted(&self, count: u64) -> Vec<(Event, NewPayload)> {
        let mut chain = chain_start(&self.key);
        let accepted = (1..=count).map(|seq| {
            let id = MessageId::new(short(3, self.number * count + seq));
            let body: Arc<[u8]> = vec![seq as u8; MESSAGE_SIZE_BUCKETS[0]].into();
            let digest = sha256(&body);
            chain = extend_chain(chain, seq, id, digest);
            let accepted = MailboxEvent::MessageAccepted {
                seq,
                id,
                size: SizeBucket::of(body.len()).expect("it is a bucket"),
                digest,
                chain,
                knock: false,
                at: self.at,
                expires_at: self.at.plus(MESSAGE_TTL_DEFAULT),
            };
            let payload = NewPayload {
                id: PayloadId::from(id),
                bytes: body,
            };
            (accepted.into(), payload)
        });
        accepted.collect()
    }

    /// An event before it is in the log.
    pub(super) fn new_event(
        &self,
        number: u64,
        event: Event,
        payload: Option<NewPayload>,
    ) -> NewEvent {
        NewEvent {
            id: EventId::new(short(4, number)),
            event,
            metadata: self.metadata(number),
            payload,
        }
    }

    /// An event as it comes out of the log, the `number`th of all.
    pub(super) fn envelope(&self, stream: &StreamId, number: u64, event: Event) -> Envelope {
        Envelope {
            stream: stream.clone(),
            revision: Revision(0),
            position: Position::new(number, 0),
            event_id: EventId::new(short(4, number)),
            metadata: self.metadata(number),
            event,
        }
    }

    fn metadata(&self, number: u64) -> Metadata {
        Metadata {
            command_id: CommandId::new(short(5, number)),
            request_digest: RequestDigest::new([6; 16]),
            recorded_at: self.at,
        }
    }
}
