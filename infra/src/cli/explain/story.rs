//! What the log knows about one client.

use serde::Serialize;

use super::moment::Moment;

/// Everything, by what it is about.
#[derive(Debug, Default, Serialize)]
pub(super) struct Story {
    /// The client's id.
    pub(super) client: String,
    /// The chain that transactions are told of; nothing when the log knows none.
    pub(super) network: Option<String>,
    pub(super) registered: Option<Moment>,
    pub(super) retired: Option<Moment>,
    /// In the order in which they were used.
    pub(super) messaging_keys: Vec<MessagingKeyPart>,
    pub(super) mailboxes: Vec<MailboxPart>,
    pub(super) addresses: Vec<AddressPart>,
    pub(super) transactions: Vec<TransactionPart>,
    pub(super) push_targets: Vec<PushPart>,
    /// Every event, in the order of the log.
    pub(super) history: Vec<Line>,
}

#[derive(Debug, Serialize)]
pub(super) struct MessagingKeyPart {
    pub(super) key: String,
    pub(super) since: Moment,
    /// When another key took its place.
    pub(super) until: Option<Moment>,
}

/// A mailbox without its contents. The log does not know who sent a message.
#[derive(Debug, Default, Serialize)]
pub(super) struct MailboxPart {
    pub(super) key: String,
    pub(super) opened: Option<Moment>,
    pub(super) closed: Option<Moment>,
    pub(super) accepted: u64,
    pub(super) acknowledged: u64,
    pub(super) expired: u64,
    pub(super) wiped: u64,
    /// Those that neither were acknowledged nor are gone, set aside or not.
    pub(super) waiting: u64,
    /// Of the waiting ones, those that their recipient has set aside.
    pub(super) parked: u64,
    pub(super) last_arrival: Option<Moment>,
    pub(super) last_acknowledgement: Option<Moment>,
}

#[derive(Debug, Serialize)]
pub(super) struct AddressPart {
    /// The id of the entry.
    pub(super) id: String,
    /// The address, or the script where it has none; nothing when it was erased.
    pub(super) address: Option<String>,
    pub(super) watched: Moment,
    pub(super) unwatched: Option<Moment>,
}

/// What a transaction does to one address.
#[derive(Debug, Serialize)]
pub(super) struct TransactionPart {
    pub(super) txid: String,
    pub(super) address: String,
    pub(super) received_sat: u64,
    pub(super) spent_sat: u64,
    /// Where it is now.
    pub(super) state: String,
    pub(super) since: Moment,
    pub(super) first_seen: Moment,
}

#[derive(Debug, Serialize)]
pub(super) struct PushPart {
    /// The id of the registration.
    pub(super) id: String,
    pub(super) set: Moment,
    /// Scheme, host and port of the push service; nothing when the target was erased.
    pub(super) service: Option<String>,
    pub(super) state: &'static str,
    pub(super) since: Moment,
    pub(super) refused_codes: u64,
    pub(super) wake_ups: u64,
    pub(super) last_wake_up: Option<Moment>,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) moment: Moment,
    pub(super) stream: String,
    pub(super) revision: u64,
    pub(super) what: String,
}
