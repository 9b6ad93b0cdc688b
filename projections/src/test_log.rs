//! A log for unit tests: gives events their places.

use satpost_domain::chain::{BlockRef, ChainEvent, Touch};
use satpost_domain::client::ClientEvent;
use satpost_domain::ids::{BlockHash, ChainHash, Digest, ScriptHash, Txid};
use satpost_domain::mailbox::{MailboxEvent, SizeBucket};
use satpost_domain::network::Network;
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchTarget, WatchlistEvent};
use satpost_domain::{
    ClientId, CommandId, Envelope, Event, EventId, MessageId, MessagingKey, Metadata, Position,
    PushTargetId, RequestDigest, Revision, Sealed, StreamId, Timestamp, WatchId,
};

use crate::projection::Projection;

/// Positions count from 1. The clock stands at [`TestLog::now`].
#[derive(Default)]
pub(crate) struct TestLog {
    pub(crate) now: u64,
    pub(crate) envelopes: Vec<Envelope>,
}

impl TestLog {
    pub(crate) fn record(&mut self, stream: StreamId, event: impl Into<Event>) -> Envelope {
        let number = self.envelopes.len() as u64 + 1;
        let revision = self
            .envelopes
            .iter()
            .filter(|envelope| envelope.stream == stream)
            .count();
        let envelope = Envelope {
            stream,
            revision: Revision(revision as u64),
            position: Position::new(number, 0),
            event_id: EventId::new(u128::from(number).to_be_bytes()),
            metadata: Metadata {
                command_id: CommandId::new([1; 16]),
                request_digest: RequestDigest::new([2; 16]),
                recorded_at: Timestamp::from_millis(self.now),
            },
            event: event.into(),
        };
        self.envelopes.push(envelope.clone());
        envelope
    }

    pub(crate) fn client(&mut self, client: ClientId, event: ClientEvent) -> Envelope {
        self.record(StreamId::client(client), event)
    }

    pub(crate) fn mailbox(&mut self, key: MessagingKey, event: MailboxEvent) -> Envelope {
        self.record(StreamId::mailbox(key), event)
    }

    pub(crate) fn watchlist(&mut self, client: ClientId, event: WatchlistEvent) -> Envelope {
        self.record(StreamId::watchlist(client), event)
    }

    pub(crate) fn chain(&mut self, event: ChainEvent) -> Envelope {
        self.record(StreamId::chain(Network::Regtest), event)
    }

    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn register(&mut self, client: ClientId, messaging_key: MessagingKey) -> Envelope {
        let at = self.at();
        self.client(
            client,
            ClientEvent::ClientRegistered {
                client,
                messaging_key,
                at,
            },
        )
    }

    pub(crate) fn open(&mut self, key: MessagingKey, owner: ClientId) -> Envelope {
        let at = self.at();
        self.mailbox(key, MailboxEvent::MailboxOpened { key, owner, at })
    }

    /// A message of 512 bytes that waits until `expires_at`.
    pub(crate) fn accept(&mut self, key: MessagingKey, seq: u64, expires_at: u64) -> Envelope {
        let at = self.at();
        self.mailbox(
            key,
            MailboxEvent::MessageAccepted {
                seq,
                id: message(seq),
                size: SizeBucket::of(512).unwrap(),
                digest: Digest::new([3; 32]),
                chain: chain_hash(seq),
                knock: false,
                at,
                expires_at: Timestamp::from_millis(expires_at),
            },
        )
    }

    pub(crate) fn watch(&mut self, client: ClientId, id: u8, bytes: &[u8]) -> Envelope {
        self.watch_with(client, watch(id), script(bytes), WatchOptions::default())
    }

    pub(crate) fn watch_with(
        &mut self,
        client: ClientId,
        id: WatchId,
        target: impl Into<WatchTarget>,
        options: WatchOptions,
    ) -> Envelope {
        let at = self.at();
        let target = Sealed::Present(target.into());
        self.watchlist(
            client,
            WatchlistEvent::AddressWatched {
                id,
                target,
                options,
                at,
            },
        )
    }

    pub(crate) fn unwatch(&mut self, client: ClientId, id: u8) -> Envelope {
        let at = self.at();
        self.watchlist(
            client,
            WatchlistEvent::AddressUnwatched { id: watch(id), at },
        )
    }

    pub(crate) fn set_push(&mut self, client: ClientId, id: u8, expires_at: u64) -> Envelope {
        let at = self.at();
        self.client(
            client,
            ClientEvent::PushTargetSet {
                id: target(id),
                registration: Sealed::Present(registration(id)),
                code_digest: registration(id).code.digest(),
                code_expires_at: Timestamp::from_millis(expires_at),
                at,
            },
        )
    }

    pub(crate) fn verify(&mut self, client: ClientId, id: u8) -> Envelope {
        let at = self.at();
        self.client(
            client,
            ClientEvent::PushTargetVerified { id: target(id), at },
        )
    }

    pub(crate) fn seen(&mut self, id: u8, script: &[u8]) -> Envelope {
        let at = self.at();
        self.chain(ChainEvent::TransactionSeen {
            txid: txid(id),
            touch: touch(script),
            inputs: Vec::new(),
            incarnation: 1,
            at,
        })
    }

    pub(crate) fn evicted(&mut self, id: u8, script: &[u8]) -> Envelope {
        self.chain(ChainEvent::TransactionEvicted {
            txid: txid(id),
            script_hash: script_hash(script),
            incarnation: 1,
        })
    }
}

/// The projection of everything in `log`, which is the same after a snapshot at any place.
#[track_caller]
pub(crate) fn project<P: Projection>(log: &TestLog) -> P {
    let mut live = P::default();
    for (index, envelope) in log.envelopes.iter().enumerate() {
        live.apply(envelope);
        let mut resumed = P::restore(&live.snapshot()).unwrap();
        assert_eq!(resumed.snapshot(), live.snapshot(), "after event {index}");
        for envelope in &log.envelopes[index + 1..] {
            resumed.apply(envelope);
        }
        let mut whole = P::default();
        for envelope in &log.envelopes {
            whole.apply(envelope);
        }
        assert_eq!(
            resumed.snapshot(),
            whole.snapshot(),
            "resumed after event {index}"
        );
    }
    live
}

pub(crate) fn client(byte: u8) -> ClientId {
    ClientId::from_stored([byte; 32])
}

pub(crate) fn key(byte: u8) -> MessagingKey {
    MessagingKey::from_stored([byte; 32])
}

pub(crate) fn message(seq: u64) -> MessageId {
    MessageId::new(u128::from(seq).to_be_bytes())
}

pub(crate) fn chain_hash(seq: u64) -> ChainHash {
    ChainHash::new([u8::try_from(seq % 251).unwrap() + 1; 32])
}

pub(crate) fn watch(byte: u8) -> WatchId {
    WatchId::new([byte; 16])
}

pub(crate) fn target(byte: u8) -> PushTargetId {
    PushTargetId::new([byte; 16])
}

pub(crate) fn registration(byte: u8) -> PushRegistration {
    PushRegistration {
        target: PushTarget::web_push(format!("https://push.example/{byte}"), [4; 65], [byte; 16])
            .unwrap(),
        code: VerificationCode::new([byte; 16]),
    }
}

pub(crate) fn script(bytes: &[u8]) -> Script {
    Script::new(bytes).unwrap()
}

pub(crate) fn script_hash(bytes: &[u8]) -> ScriptHash {
    script(bytes).hash()
}

pub(crate) fn txid(byte: u8) -> Txid {
    Txid::new([byte; 32])
}

pub(crate) fn touch(script: &[u8]) -> Touch {
    Touch {
        script_hash: script_hash(script),
        received_sat: 5_000,
        spent_sat: 0,
        outputs: vec![(0, 5_000)],
    }
}

pub(crate) fn block(height: u32) -> BlockRef {
    BlockRef {
        height,
        hash: BlockHash::new([u8::try_from(height % 251).unwrap(); 32]),
    }
}
