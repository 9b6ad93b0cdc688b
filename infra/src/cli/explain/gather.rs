//! Reads the streams of one client, and what happened on the chain to the addresses it watches.

use std::collections::{BTreeSet, HashMap};

use satpost_commands::ports::{EventLog as _, LogError};
use satpost_domain::client::ClientEvent;
use satpost_domain::ids::ScriptHash;
use satpost_domain::mailbox::{GoneReason, MailboxEvent};
use satpost_domain::network::Network;
use satpost_domain::push::{ApnsEnvironment, PushRegistration, PushTarget};
use satpost_domain::watchlist::{WatchTarget, WatchlistEvent};
use satpost_domain::{ClientId, Envelope, Event, MessagingKey, Position, Revision, StreamId};
use satpost_projections::Projection as _;
use satpost_projections::transaction_status::{Status, TransactionStatus};

use super::history;
use super::moment::Moment;
use super::story::{
    AddressPart, Line, MailboxPart, MessagingKeyPart, PushPart, Story, TransactionPart,
};
use crate::bitcoind::convert;
use crate::event_log::StoredEventLog;

/// How many events are read at once.
const PAGE_EVENTS: usize = 512;
/// The states of a push target that has not ended.
const WAITING: &str = "waits for its code";
const IN_USE: &str = "in use";

/// The story of `client`; nothing when the log does not know it.
pub(super) async fn gather(
    log: &StoredEventLog,
    client: ClientId,
) -> Result<Option<Story>, LogError> {
    let mut story = Story {
        client: client.to_string(),
        ..Story::default()
    };
    let mut mailboxes: Vec<MessagingKey> = Vec::new();
    each_event(log, &StreamId::client(client), |envelope| {
        mailboxes.extend(take_client(&mut story, envelope));
    })
    .await?;
    if story.registered.is_none() {
        return Ok(None);
    }
    for key in mailboxes {
        let stream = StreamId::mailbox(key);
        let mut mailbox = Mailbox::default();
        let history = &mut story.history;
        each_event(log, &stream, |envelope| mailbox.take(history, envelope)).await?;
        story.mailboxes.push(mailbox.finish(key));
    }
    let chain = chain_of(log).await?;
    story.network = chain.map(|network| network.to_string());
    let mut scripts = HashMap::new();
    each_event(log, &StreamId::watchlist(client), |envelope| {
        take_watchlist(&mut story, chain, &mut scripts, envelope);
    })
    .await?;
    if let Some(network) = chain {
        take_chain(log, network, &mut story, &scripts).await?;
    }
    story.history.sort_by_key(|line| line.moment.position);
    Ok(Some(story))
}

async fn each_event(
    log: &StoredEventLog,
    stream: &StreamId,
    mut take: impl FnMut(&Envelope),
) -> Result<(), LogError> {
    let mut from = Revision(0);
    loop {
        let page = log.read(stream, from, PAGE_EVENTS).await?;
        for envelope in &page.events {
            take(envelope);
            from = envelope.revision.next();
        }
        if page.end_of_stream {
            return Ok(());
        }
    }
}

/// The chain of this log. A server knows one.
async fn chain_of(log: &StoredEventLog) -> Result<Option<Network>, LogError> {
    for network in Network::ALL {
        let page = log.read(&StreamId::chain(network), Revision(0), 1).await?;
        if !page.events.is_empty() {
            return Ok(Some(network));
        }
    }
    Ok(None)
}

fn add_line(lines: &mut Vec<Line>, envelope: &Envelope, what: String) {
    lines.push(Line {
        moment: Moment::of(envelope),
        stream: envelope.stream.to_string(),
        revision: envelope.revision.0,
        what,
    });
}

/// Returns the messaging key that is new with this event.
fn take_client(story: &mut Story, envelope: &Envelope) -> Option<MessagingKey> {
    let Event::Client(event) = &envelope.event else {
        return None;
    };
    let now = Moment::of(envelope);
    add_line(&mut story.history, envelope, history::client(event));
    let mut new_key = None;
    match event {
        ClientEvent::ClientRegistered { messaging_key, .. } => {
            story.registered = Some(now);
            new_key = Some(*messaging_key);
        }
        ClientEvent::MessagingKeyRotated { to, .. } => new_key = Some(*to),
        ClientEvent::PushTargetSet {
            id, registration, ..
        } => {
            end_push(story, "replaced", now);
            story.push_targets.push(PushPart {
                id: id.to_string(),
                set: now,
                service: registration.as_option().and_then(service),
                state: WAITING,
                since: now,
                refused_codes: 0,
                wake_ups: 0,
                last_wake_up: None,
            });
        }
        ClientEvent::ClientRetired { .. } => {
            story.retired = Some(now);
            end_push(story, "removed when its client was retired", now);
        }
        event => take_push(story, event, now),
    }
    if let Some(key) = new_key {
        if let Some(former) = story.messaging_keys.last_mut() {
            former.until = Some(now);
        }
        story.messaging_keys.push(MessagingKeyPart {
            key: key.to_string(),
            since: now,
            until: None,
        });
    }
    // A key may come back; its mailbox is looked at once.
    let key = new_key?;
    let text = key.to_string();
    let times = story.messaging_keys.iter().filter(|part| part.key == text);
    (times.count() == 1).then_some(key)
}

/// A client has one target at a time; the one it has is over.
fn end_push(story: &mut Story, how: &'static str, now: Moment) {
    if let Some(target) = story.push_targets.last_mut()
        && matches!(target.state, WAITING | IN_USE)
    {
        (target.state, target.since) = (how, now);
    }
}

fn take_push(story: &mut Story, event: &ClientEvent, now: Moment) {
    let (ClientEvent::PushTargetVerified { id, .. }
    | ClientEvent::PushCodeRefused { id, .. }
    | ClientEvent::PushTargetRemoved { id, .. }
    | ClientEvent::PushTargetDead { id, .. }
    | ClientEvent::PushWoken { id, .. }) = event
    else {
        return;
    };
    let id = id.to_string();
    let mut targets = story.push_targets.iter_mut().rev();
    let Some(target) = targets.find(|target| target.id == id) else {
        return;
    };
    match event {
        ClientEvent::PushCodeRefused { .. } => target.refused_codes += 1,
        ClientEvent::PushWoken { .. } => {
            target.wake_ups += 1;
            target.last_wake_up = Some(now);
        }
        ClientEvent::PushTargetVerified { .. } => (target.state, target.since) = (IN_USE, now),
        ClientEvent::PushTargetRemoved { .. } => {
            (target.state, target.since) = ("removed by its client", now);
        }
        _ => (target.state, target.since) = ("dead", now),
    }
}

/// Where a push goes to, without the part that names the phone.
fn service(registration: &PushRegistration) -> Option<String> {
    match &registration.target {
        PushTarget::WebPush { endpoint, .. } => {
            let url = url::Url::parse(endpoint).ok()?;
            Some(url.origin().ascii_serialization())
        }
        PushTarget::Apns {
            topic, environment, ..
        } => Some(match environment {
            ApnsEnvironment::Production => format!("Apple, for the app {topic}"),
            ApnsEnvironment::Sandbox => format!("Apple's sandbox, for the app {topic}"),
        }),
        PushTarget::Fcm { .. } => Some("Google".to_owned()),
    }
}

/// A mailbox while its events are counted.
#[derive(Default)]
struct Mailbox {
    part: MailboxPart,
    set_aside: BTreeSet<u64>,
    /// Parked ones that were acknowledged.
    parked_acknowledged: u64,
}

impl Mailbox {
    fn take(&mut self, lines: &mut Vec<Line>, envelope: &Envelope) {
        let Event::Mailbox(event) = &envelope.event else {
            return;
        };
        add_line(lines, envelope, history::mailbox(event));
        let now = Some(Moment::of(envelope));
        let part = &mut self.part;
        match event {
            MailboxEvent::MailboxOpened { .. } => part.opened = now,
            MailboxEvent::MailboxClosed { .. } => part.closed = now,
            MailboxEvent::MailboxForwarded { .. }
            | MailboxEvent::MailboxReopened { .. }
            | MailboxEvent::StrangerPolicyChanged { .. }
            | MailboxEvent::DeliveryTokensAdded { .. }
            | MailboxEvent::DeliveryTokensRevoked { .. }
            | MailboxEvent::DeliveryTokenSpent { .. }
            | MailboxEvent::MailboxFilled { .. }
            | MailboxEvent::MailboxHasRoom { .. } => {}
            MailboxEvent::MessageAccepted { .. } => {
                part.accepted += 1;
                part.last_arrival = now;
            }
            MailboxEvent::MessageParked { seq, .. } => {
                self.set_aside.insert(*seq);
            }
            MailboxEvent::MessagesAcknowledged { count, .. } => {
                part.acknowledged += count;
                part.last_acknowledgement = now;
            }
            MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
                self.parked_acknowledged += seqs.len() as u64;
                for seq in seqs {
                    self.set_aside.remove(seq);
                }
                part.last_acknowledgement = now;
            }
            MailboxEvent::MessageGone { seq, reason, .. } => {
                self.set_aside.remove(seq);
                match reason {
                    GoneReason::Expired => part.expired += 1,
                    GoneReason::Wiped => part.wiped += 1,
                }
            }
        }
    }

    fn finish(self, key: MessagingKey) -> MailboxPart {
        let mut part = self.part;
        part.key = key.to_string();
        part.parked = self.set_aside.len() as u64;
        part.acknowledged += self.parked_acknowledged;
        let ended = part.acknowledged + part.expired + part.wiped;
        part.waiting = part.accepted.saturating_sub(ended);
        part
    }
}

fn take_watchlist(
    story: &mut Story,
    chain: Option<Network>,
    scripts: &mut HashMap<ScriptHash, String>,
    envelope: &Envelope,
) {
    let Event::Watchlist(event) = &envelope.event else {
        return;
    };
    let now = Moment::of(envelope);
    match event {
        WatchlistEvent::AddressWatched { id, target, .. } => {
            let address = target.as_option().map(|target| {
                let address = address(target, chain);
                scripts.insert(target.hash(), address.clone());
                address
            });
            let what = history::watched(id, address.as_deref());
            add_line(&mut story.history, envelope, what);
            story.addresses.push(AddressPart {
                id: id.to_string(),
                address,
                watched: now,
                unwatched: None,
            });
        }
        WatchlistEvent::WatchOptionsChanged { id, options, .. } => {
            let what = history::watch_options_changed(id, options);
            add_line(&mut story.history, envelope, what);
        }
        WatchlistEvent::AddressUnwatched { id, .. } => {
            add_line(&mut story.history, envelope, history::unwatched(id));
            let id = id.to_string();
            let mut entries = story.addresses.iter_mut().rev();
            if let Some(entry) = entries.find(|entry| entry.id == id) {
                entry.unwatched = Some(now);
            }
        }
    }
}

/// The address of a script, or its bytes where it has none or the chain is not known.
fn address(target: &WatchTarget, chain: Option<Network>) -> String {
    let script = match target {
        WatchTarget::Script(script) => script,
        WatchTarget::Hash(hash) => return format!("the script with hash {hash}"),
    };
    chain
        .and_then(|network| {
            let script = bitcoin::Script::from_bytes(script.as_bytes());
            bitcoin::Address::from_script(script, convert::network(network)).ok()
        })
        .map_or_else(
            || format!("script {}", hex::encode(script.as_bytes())),
            |address| address.to_string(),
        )
}

async fn take_chain(
    log: &StoredEventLog,
    network: Network,
    story: &mut Story,
    scripts: &HashMap<ScriptHash, String>,
) -> Result<(), LogError> {
    if scripts.is_empty() {
        return Ok(());
    }
    let mut status = TransactionStatus::default();
    let history = &mut story.history;
    each_event(log, &StreamId::chain(network), |envelope| {
        let Event::Chain(event) = &envelope.event else {
            return;
        };
        if let Some(address) = event
            .touched_script()
            .and_then(|script| scripts.get(script))
        {
            status.apply(envelope);
            add_line(history, envelope, history::chain(event, address));
        }
    })
    .await?;
    let hashes: Vec<_> = scripts.keys().copied().collect();
    for record in status.changed_since(&hashes, Position::START, usize::MAX) {
        let (Some(first), Some(last)) = (record.steps.first(), record.place()) else {
            continue;
        };
        story.transactions.push(TransactionPart {
            txid: record.txid.to_string(),
            address: scripts[&record.script_hash].clone(),
            received_sat: record.received_sat,
            spent_sat: record.spent_sat,
            state: state(&last.state),
            since: moment(last),
            first_seen: moment(first),
        });
    }
    Ok(())
}

const fn moment(step: &satpost_projections::transaction_status::Step) -> Moment {
    Moment {
        position: step.position,
        at: step.recorded_at,
    }
}

fn state(status: &Status) -> String {
    match status {
        Status::Seen => "in the mempool".to_owned(),
        Status::Confirmed { block } => format!("in block {}", block.height),
        Status::DepthReached { depth, .. } => format!("{depth} blocks deep"),
        Status::Matured { .. } => "a coinbase that can be spent".to_owned(),
        Status::Final { .. } => "final".to_owned(),
        Status::Unconfirmed { block } => {
            format!(
                "in the mempool again, block {} was taken back",
                block.height
            )
        }
        Status::Replaced { by, .. } => format!("replaced by {by}"),
        Status::Evicted => "dropped from the mempool".to_owned(),
    }
}
