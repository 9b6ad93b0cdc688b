//! A small world: three clients with a few keys and scripts, one chain, and the log of it all. It
//! acts on what the projections say, as callers do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use satpost_domain::chain::{BlockRef, Chain, ChainCommand, DepthSet, GapKind};
use satpost_domain::client::{Client, ClientCommand, ClientEvent, PushDeathReason};
use satpost_domain::hash::sha256;
use satpost_domain::ids::ScriptHash;
use satpost_domain::mailbox::{Introduction, Mailbox, MailboxCommand, ParkReason};
use satpost_domain::network::Network;
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{
    Birthday, NewWatch, WatchBounds, WatchWish, Watchlist, WatchlistCommand, WatchlistEvent,
};
use satpost_domain::{
    Aggregate, ClientId, CommandId, Envelope, Event, EventId, MessageId, MessagingKey, Metadata,
    PayloadId, Position, PushTargetId, RequestDigest, Revision, Sealed, StreamId, Timestamp,
    WatchId,
};
use satpost_projections::ReadModel;
use satpost_projections::mailbox_queue::{Places, QueuePage, QueuedMessage};
use satpost_projections::push_outbox::DueKind;

use super::happening::{CLIENTS, Happening, KEYS, SCRIPTS};

/// Any registered client may write to these mailboxes.
const REGISTERED: Introduction = Introduction {
    token: None,
    has_worked: false,
    is_registered: true,
};

mod chain;

/// The aggregates, their log, and the projections that follow it.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) log: Vec<Envelope>,
    pub(crate) live: ReadModel,
    closed: BTreeSet<PayloadId>,
    clients: BTreeMap<ClientId, Client>,
    watchlists: BTreeMap<ClientId, Watchlist>,
    mailboxes: BTreeMap<MessagingKey, Mailbox>,
    chain: Chain,
    /// The best chain of the node, from block 0.
    blocks: Vec<BlockRef>,
    minutes: u64,
    drawn: u64,
}

fn client_id(client: u8) -> ClientId {
    ClientId::from_stored([client + 1; 32])
}

fn messaging_key(key: u8) -> MessagingKey {
    MessagingKey::from_stored([key + 101; 32])
}

fn script(number: u8) -> Script {
    Script::new(&[0x51, 0x20, number]).unwrap()
}

/// The hashes of all scripts in this world.
pub(crate) fn script_hashes() -> Vec<ScriptHash> {
    (0..SCRIPTS).map(|number| script(number).hash()).collect()
}

impl World {
    pub(crate) fn play(&mut self, happening: &Happening) {
        match *happening {
            Happening::Register { client } => self.register(client),
            Happening::Rotate { key } => self.rotate(key),
            Happening::SetPush { client } => self.set_push(client),
            Happening::VerifyPush { client, right } => self.verify_push(client, right),
            Happening::LosePush { client, dead } => self.lose_push(client, dead),
            Happening::Wake => self.wake(),
            Happening::Retire { client } => self.retire(client),
            Happening::Watch { client, script } => self.watch(client, script),
            Happening::Unwatch { client, script } => self.unwatch(client, script),
            Happening::Send { key, minutes } => self.send(key, minutes),
            Happening::Acknowledge { key, messages } => self.acknowledge(key, messages),
            Happening::Park { key, message } => self.park(key, message),
            Happening::AcknowledgeParked { key } => self.acknowledge_parked(key),
            Happening::Pass { minutes } => self.pass(minutes),
            Happening::Wipe { key } => {
                let at = self.now();
                self.ask_mailbox(messaging_key(key), &MailboxCommand::Wipe { at });
            }
            Happening::See {
                transaction,
                script,
            } => {
                let (at, sightings) = (self.now(), vec![chain::sighting(transaction, script)]);
                self.ask_chain(&ChainCommand::SeeTransactions { sightings, at });
            }
            Happening::Remove {
                transaction,
                replaced,
            } => self.remove(transaction, replaced),
            Happening::Mine {
                transaction,
                script,
            } => self.mine(transaction, script),
            Happening::Unmine => self.unmine(),
            Happening::Gap { restored } => {
                let (at, kind) = (self.now(), GapKind::Heartbeat);
                self.ask_chain(&if restored {
                    ChainCommand::NoteRestored { at }
                } else {
                    ChainCommand::NoteGap { kind, at }
                });
            }
        }
    }

    /// The log as it is read after everything that was closed is erased.
    pub(crate) fn erased(&self) -> Vec<Envelope> {
        let mut log = self.log.clone();
        for envelope in &mut log {
            match &mut envelope.event {
                Event::Watchlist(WatchlistEvent::AddressWatched { id, target, .. })
                    if self.closed.contains(&(*id).into()) =>
                {
                    *target = Sealed::Erased;
                }
                Event::Client(ClientEvent::PushTargetSet {
                    id, registration, ..
                }) if self.closed.contains(&(*id).into()) => *registration = Sealed::Erased,
                _ => {}
            }
        }
        log
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.minutes * 60_000)
    }

    /// 16 bytes that were never drawn before.
    fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        u128::from(self.drawn).to_be_bytes()
    }

    /// Decides, evolves, and appends what happened.
    fn ask<A: Aggregate>(
        &mut self,
        stream: &StreamId,
        state: &mut A,
        command: &A::Command,
    ) -> Result<usize, A::Error> {
        let events = state.decide(command)?;
        for event in &events {
            self.closed.extend(state.payloads_closed_by(event));
            state.evolve(event);
            let revision = self.log.iter().filter(|known| known.stream == *stream);
            let revision = Revision(revision.count() as u64);
            let envelope = Envelope {
                stream: stream.clone(),
                revision,
                position: Position::new(self.log.len() as u64 + 1, 0),
                event_id: EventId::new(self.draw()),
                metadata: Metadata {
                    command_id: CommandId::new([1; 16]),
                    request_digest: RequestDigest::new([2; 16]),
                    recorded_at: self.now(),
                },
                event: event.clone().into(),
            };
            self.live.apply(&envelope);
            self.log.push(envelope);
        }
        Ok(events.len())
    }

    /// Asks a client. True when it was not refused.
    fn ask_client(&mut self, id: ClientId, command: &ClientCommand) -> bool {
        let mut state = self.clients.remove(&id).unwrap_or_default();
        let asked = self.ask(&StreamId::client(id), &mut state, command);
        self.clients.insert(id, state);
        asked.is_ok()
    }

    fn ask_watchlist(&mut self, id: ClientId, command: &WatchlistCommand) -> bool {
        let mut state = self.watchlists.remove(&id).unwrap_or_default();
        let asked = self.ask(&StreamId::watchlist(id), &mut state, command);
        self.watchlists.insert(id, state);
        asked.is_ok()
    }

    fn ask_mailbox(&mut self, key: MessagingKey, command: &MailboxCommand) -> bool {
        let mut state = self.mailboxes.remove(&key).unwrap_or_default();
        let asked = self.ask(&StreamId::mailbox(key), &mut state, command);
        self.mailboxes.insert(key, state);
        asked.is_ok()
    }

    fn ask_chain(&mut self, command: &ChainCommand) -> bool {
        let mut state = std::mem::take(&mut self.chain);
        let asked = self.ask(&StreamId::chain(Network::Regtest), &mut state, command);
        self.chain = state;
        asked.is_ok()
    }

    fn register(&mut self, number: u8) {
        let (client, key, at) = (client_id(number), messaging_key(number), self.now());
        let owner = client;
        let registered = ClientCommand::Register {
            client,
            messaging_key: key,
            at,
        };
        if self.ask_client(client, &registered) {
            self.ask_mailbox(
                key,
                &MailboxCommand::Open {
                    key,
                    owner,
                    inherited: None,
                    at,
                },
            );
            let owned = self.live.client_directory().owner(&key);
            assert_eq!(owned, Some(client));
        }
    }

    fn rotate(&mut self, number: u8) {
        let (client, key, at) = (
            client_id(number % CLIENTS),
            messaging_key(number),
            self.now(),
        );
        let owner = client;
        let rotated = ClientCommand::RotateMessagingKey {
            messaging_key: key,
            at,
        };
        if self.ask_client(client, &rotated) {
            self.ask_mailbox(
                key,
                &MailboxCommand::Open {
                    key,
                    owner,
                    inherited: None,
                    at,
                },
            );
        }
    }

    fn set_push(&mut self, number: u8) {
        let (id, at) = (PushTargetId::new(self.draw()), self.now());
        let endpoint = "https://push.example/".to_owned();
        let registration = PushRegistration {
            target: PushTarget::web_push(endpoint, [4; 65], [5; 16]).unwrap(),
            code: VerificationCode::new(*id.as_bytes()),
        };
        self.ask_client(
            client_id(number),
            &ClientCommand::SetPushTarget {
                id,
                registration,
                at,
            },
        );
    }

    fn push_id(&self, client: ClientId) -> Option<PushTargetId> {
        let directory = self.live.client_directory();
        Some(directory.client(&client)?.push.as_ref()?.id)
    }

    fn verify_push(&mut self, number: u8, right: bool) {
        let (client, at) = (client_id(number), self.now());
        if let Some(id) = self.push_id(client) {
            let bytes = if right { *id.as_bytes() } else { [0xff; 16] };
            let code = VerificationCode::new(bytes);
            self.ask_client(client, &ClientCommand::VerifyPushTarget { code, at });
        }
    }

    fn lose_push(&mut self, number: u8, dead: bool) {
        let (client, at) = (client_id(number), self.now());
        if let Some(id) = self.push_id(client) {
            let reason = PushDeathReason::Gone;
            let lost = if dead {
                ClientCommand::MarkPushTargetDead {
                    id,
                    reason,
                    since: None,
                    at,
                }
            } else {
                ClientCommand::RemovePushTarget { at }
            };
            assert!(self.ask_client(client, &lost));
            assert_eq!(self.push_id(client), None);
        }
    }

    fn wake(&mut self) {
        let due = self.live.push_outbox().due(None, usize::MAX);
        for (index, owed) in due.iter().enumerate() {
            let DueKind::Wake { through } = owed.kind else {
                continue;
            };
            if index % 2 == 1 {
                self.send(0, 5);
            }
            let (id, at) = (owed.id, self.now());
            let recorded = self.log.len();
            assert!(self.ask_client(owed.client, &ClientCommand::RecordWake { id, through, at }));
            assert!(
                self.log.len() > recorded,
                "what is owed is not recorded yet"
            );
        }
    }

    fn retire(&mut self, number: u8) {
        let (client, at) = (client_id(number), self.now());
        if !self.ask_client(client, &ClientCommand::Retire { at }) {
            return;
        }
        for key in (number..KEYS).step_by(CLIENTS.into()).map(messaging_key) {
            self.ask_mailbox(key, &MailboxCommand::Close { at });
            assert!(!self.live.mailbox_queue().is_open(&key));
        }
        self.ask_watchlist(client, &WatchlistCommand::Clear { at });
        assert_eq!(self.live.client_directory().client(&client), None);
        assert_eq!(self.live.watched_scripts().hashes(&client), []);
    }

    fn watch(&mut self, number: u8, script_number: u8) {
        let (client, at) = (client_id(number), self.now());
        if self.live.client_directory().client(&client).is_none() {
            return;
        }
        let script = script(script_number);
        let hash = script.hash();
        let depths = DepthSet::new([u32::from(number % 140) + 2]).ok();
        let birthday = number
            .is_multiple_of(5)
            .then_some(Birthday::Height(number.into()));
        let watch = NewWatch {
            id: WatchId::new(self.draw()),
            target: if number.is_multiple_of(2) {
                script.into()
            } else {
                hash.into()
            },
            wish: WatchWish { depths, birthday },
        };
        let watch = WatchlistCommand::Watch {
            watches: vec![watch],
            bounds: WatchBounds::new(Network::Regtest, None),
            at,
        };
        assert!(self.ask_watchlist(client, &watch));
        let settled = self.watchlists[&client].options(&hash);
        let watched = self.live.watched_scripts();
        assert_eq!(watched.options(&client, &hash), settled);
    }

    fn unwatch(&mut self, number: u8, script_number: u8) {
        let (client, at) = (client_id(number), self.now());
        let script = script(script_number);
        let watched = self.live.watched_scripts().watches(&client, &script.hash());
        let scripts = vec![script.hash()];
        let unwatched = self.ask_watchlist(client, &WatchlistCommand::Unwatch { scripts, at });
        assert_eq!(unwatched, watched);
    }

    fn send(&mut self, number: u8, minutes: u64) {
        let (id, at) = (MessageId::new(self.draw()), self.now());
        let key = messaging_key(number);
        let taken = self.ask_mailbox(
            key,
            &MailboxCommand::Accept {
                id,
                digest: sha256(id.as_bytes()),
                size: 512,
                ttl: Some(Duration::from_secs(minutes * 60)),
                introduction: REGISTERED,
                at,
            },
        );
        let open = self.live.mailbox_queue().is_open(&key);
        assert_eq!(taken, open);
    }

    fn page(&self, key: &MessagingKey, messages: usize) -> Option<QueuePage> {
        let queues = self.live.mailbox_queue();
        let places = queues.page(key, 0, messages, usize::MAX)?;
        Some(self.complete(places))
    }

    fn parked(&self, key: &MessagingKey) -> Vec<QueuedMessage> {
        let queues = self.live.mailbox_queue();
        let places = queues.parked(key, 0, usize::MAX, usize::MAX);
        places.map_or_else(Vec::new, |places| self.complete(places).messages)
    }

    /// The projection names the events that have the rest.
    fn complete(&self, places: Places) -> QueuePage {
        let stream = StreamId::mailbox(places.mailbox);
        let accepted = |revision| {
            let mut events = self.log.iter();
            let found =
                events.find(|event| event.stream == stream && event.revision == revision)?;
            match &found.event {
                Event::Mailbox(event) => Some(event),
                _ => None,
            }
        };
        places.complete(accepted).expect("the log has the messages")
    }

    /// The head of a page is what the mailbox takes as proof.
    fn acknowledge(&mut self, number: u8, messages: usize) {
        let (key, at) = (messaging_key(number), self.now());
        let Some(page) = self.page(&key, messages) else {
            return;
        };
        let (through, chain) = (page.head.seq, page.head.chain);
        assert!(self.ask_mailbox(key, &MailboxCommand::Acknowledge { through, chain, at }));
        let queues = self.live.mailbox_queue();
        assert_eq!(queues.summary(&key).unwrap().acknowledged, through);
    }

    fn park(&mut self, number: u8, message: usize) {
        let (key, at) = (messaging_key(number), self.now());
        let page = self.page(&key, 50);
        let waiting = page.map_or_else(Vec::new, |page| page.messages);
        let held: Vec<_> = waiting
            .into_iter()
            .filter(|message| message.gone.is_none())
            .collect();
        if let Some(parked) = held.get(message) {
            let messages = vec![(parked.id, ParkReason::Decrypt)];
            assert!(self.ask_mailbox(key, &MailboxCommand::Park { messages, at }));
        }
    }

    fn acknowledge_parked(&mut self, number: u8) {
        let (key, at) = (messaging_key(number), self.now());
        let messages: Vec<_> = self.parked(&key).iter().map(|parked| parked.id).collect();
        if !messages.is_empty() {
            assert!(self.ask_mailbox(key, &MailboxCommand::AcknowledgeParked { messages, at }));
            assert_eq!(self.parked(&key), []);
        }
    }

    /// The index of deadlines names exactly the mailboxes that have something to let go.
    fn pass(&mut self, minutes: u64) {
        self.minutes += minutes;
        let at = self.now();
        let named = self.live.mailbox_queue().expired(at, usize::MAX);
        for key in (0..KEYS).map(messaging_key) {
            let before = self.log.len();
            self.ask_mailbox(key, &MailboxCommand::Expire { at });
            assert_eq!(self.log.len() > before, named.contains(&key), "{key}");
        }
        assert_eq!(self.live.mailbox_queue().expired(at, usize::MAX), []);
    }
}
