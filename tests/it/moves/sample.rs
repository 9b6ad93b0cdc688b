//! A data folder with a little history, as the server would have written it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpost_commands::ports::{EventLog as _, Expected, NewEvent, NewPayload};
use satpost_domain::chain::{BlockRef, ChainEvent, OutPoint, Touch};
use satpost_domain::client::ClientEvent;
use satpost_domain::hash::sha256;
use satpost_domain::ids::{BlockHash, ChainHash, Txid};
use satpost_domain::mailbox::{MailboxEvent, SizeBucket};
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, CommandId, Event, EventId, MessageId, MessagingKey, Metadata, PayloadId,
    RequestDigest, Revision, Sealed, StreamId, Timestamp, WatchId,
};
use satpost_event_store::embedded::{EmbeddedEventStore, EmbeddedOptions};
use satpost_infra::event_log::StoredEventLog;
use satpost_tests::signed_request::RequestKey;

/// 2023-11-14T22:13:20Z.
pub(super) const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// The script that stays watched, and the one that does not.
pub(super) const KEPT: [u8; 22] = script(0x31);
pub(super) const DROPPED: [u8; 22] = script(0x57);

/// A v0 witness program of 20 bytes.
const fn script(fill: u8) -> [u8; 22] {
    let mut bytes = [fill; 22];
    bytes[0] = 0;
    bytes[1] = 20;
    bytes
}

pub(super) fn client() -> ClientId {
    ClientId::from_stored(RequestKey::new(1).bytes())
}

fn key() -> MessagingKey {
    MessagingKey::from_stored(RequestKey::new(2).bytes())
}

/// A log that is written to.
pub(super) struct Sample {
    log: StoredEventLog,
    number: u8,
}

impl Sample {
    /// A client with two messages and two watched addresses, and a transaction that pays to one of them.
    pub(super) async fn write(data: &Path) -> Self {
        let store = EmbeddedEventStore::open(&EmbeddedOptions::new(data)).unwrap();
        let mut sample = Self::over(store, 0);
        sample.client_with_messages().await;
        sample.watch(0, KEPT).await;
        sample.watch(1, DROPPED).await;
        sample.transaction().await;
        sample
    }

    /// Goes on with a log whose ids are taken up to `number`.
    pub(super) fn over(store: EmbeddedEventStore, number: u8) -> Self {
        Self {
            log: StoredEventLog::new(Arc::new(store)),
            number,
        }
    }

    async fn append(
        &mut self,
        stream: &StreamId,
        revision: u64,
        event: Event,
        payload: Option<NewPayload>,
        erase: Vec<PayloadId>,
    ) {
        self.number += 1;
        let event = NewEvent {
            id: EventId::new([self.number; 16]),
            event,
            metadata: Metadata {
                command_id: CommandId::new([self.number; 16]),
                request_digest: RequestDigest::new([0; 16]),
                recorded_at: AT,
            },
            payload,
        };
        let expected = match revision.checked_sub(1) {
            None => Expected::NoStream,
            Some(before) => Expected::Exact(Revision(before)),
        };
        self.log
            .append(stream, expected, vec![event], erase)
            .await
            .unwrap();
    }

    async fn client_with_messages(&mut self) {
        let registered = ClientEvent::ClientRegistered {
            client: client(),
            messaging_key: key(),
            at: AT,
        };
        let stream = StreamId::client(client());
        self.append(&stream, 0, registered.into(), None, vec![])
            .await;
        let mailbox = StreamId::mailbox(key());
        let opened = MailboxEvent::MailboxOpened {
            key: key(),
            owner: client(),
            at: AT,
        };
        self.append(&mailbox, 0, opened.into(), None, vec![]).await;
        for seq in 1..=2_u8 {
            let id = MessageId::new([0xe0 + seq; 16]);
            let accepted = MailboxEvent::MessageAccepted {
                seq: u64::from(seq),
                id,
                size: SizeBucket::of(512).unwrap(),
                digest: sha256(&[seq; 512]),
                chain: ChainHash::new([seq; 32]),
                knock: false,
                at: AT,
                expires_at: AT,
            };
            let payload = NewPayload {
                id: id.into(),
                bytes: vec![seq; 512].into(),
            };
            let revision = u64::from(seq);
            self.append(&mailbox, revision, accepted.into(), Some(payload), vec![])
                .await;
        }
        let acknowledged = MailboxEvent::MessagesAcknowledged {
            through: 1,
            count: 1,
            at: AT,
        };
        let erase = vec![MessageId::new([0xe1; 16]).into()];
        self.append(&mailbox, 3, acknowledged.into(), None, erase)
            .await;
    }

    async fn watch(&mut self, revision: u64, script: [u8; 22]) {
        let watched = WatchlistEvent::AddressWatched {
            id: WatchId::new([script[2]; 16]),
            target: Sealed::Present(Script::new(&script).unwrap().into()),
            options: WatchOptions::default(),
            at: AT,
        };
        let stream = StreamId::watchlist(client());
        self.append(&stream, revision, watched.into(), None, vec![])
            .await;
    }

    /// Lets go of the second address.
    pub(super) async fn unwatch_dropped(&mut self) {
        let id = WatchId::new([DROPPED[2]; 16]);
        let unwatched = WatchlistEvent::AddressUnwatched { id, at: AT };
        let stream = StreamId::watchlist(client());
        self.append(&stream, 2, unwatched.into(), None, vec![id.into()])
            .await;
    }

    async fn transaction(&mut self) {
        let stream = StreamId::chain(Network::Regtest);
        let tip = BlockRef {
            height: 100,
            hash: BlockHash::new([9; 32]),
        };
        let started = ChainEvent::EpochStarted {
            genesis: BlockHash::new([8; 32]),
            tip,
            at: AT,
        };
        self.append(&stream, 0, started.into(), None, vec![]).await;
        let seen = ChainEvent::TransactionSeen {
            txid: Txid::new([0xab; 32]),
            touch: Touch {
                script_hash: Script::new(&KEPT).unwrap().hash(),
                received_sat: 21_000,
                spent_sat: 0,
                outputs: vec![(0, 21_000)],
            },
            inputs: vec![OutPoint {
                txid: Txid::new([0xcd; 32]),
                vout: 1,
            }],
            incarnation: 1,
            at: AT,
        };
        self.append(&stream, 1, seen.into(), None, vec![]).await;
    }
}

/// All files below `folder` whose bytes contain `needle`.
pub(super) fn files_with(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path);
        }
    }
    found
}
