//! Which phones have to be woken, and which codes have to be sent.
//!
//! A trigger is a message accepted for a client and not acknowledged yet, or a change of a transaction that touches one of
//! its scripts. Triggers are numbered over the whole log, for whomever they are meant; a wake-up
//! covers all triggers up to a number.
//!
//! A count for each client would not do: a rebuild does not see triggers of scripts that are no
//! longer watched, because those scripts are erased. It would count less than was counted before,
//! and a client that was woken through its 5th trigger would miss its next one. A number that no
//! erasure can change has no such hole. For the same reason a client's last trigger is taken over
//! the scripts it watches now.

use std::collections::HashMap;
use std::ops::Bound;

use satpost_domain::chain::ChainEvent;
use satpost_domain::client::ClientEvent;
use satpost_domain::ids::ScriptHash;
use satpost_domain::mailbox::MailboxEvent;
use satpost_domain::push::PushRegistration;
use satpost_domain::watchlist::WatchlistEvent;
use satpost_domain::{
    ClientId, Envelope, Event, MessagingKey, PushTargetId, Sealed, StreamId, WatchId,
};

use crate::projection::{Projection, SnapshotError};
use crate::stream_owner::{client_of, mailbox_of};

mod accounts;
mod stored;
#[cfg(test)]
mod tests;
mod watchers;

use accounts::{Accounts, Stage, Target, Waiting};
use watchers::Watchers;

/// What one client's phone is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePush {
    /// The client.
    pub client: ClientId,
    /// The registration.
    pub id: PushTargetId,
    /// Where, and the code.
    pub registration: PushRegistration,
    /// What is owed.
    pub kind: DueKind,
}

/// A look at owed pushes.
#[derive(Debug, Default)]
pub struct DuePage {
    /// Those that were wanted.
    pub due: Vec<DuePush>,
    /// The last client that was looked at.
    pub last: Option<ClientId>,
    /// True when there are clients behind it.
    pub more: bool,
}

/// What is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueKind {
    /// A wake-up that covers every trigger up to this number.
    Wake {
        /// To be recorded once the push service took it.
        through: u64,
    },
    /// The verification code of a new target.
    Verification,
}

/// The projection. It knows owners of mailboxes and watchers of scripts by itself, so that it can
/// be rebuilt alone.
#[derive(Debug, Default)]
pub struct PushOutbox {
    /// The number of the last trigger in the log.
    triggers: u64,
    /// Whose messages trigger whom; open mailboxes of clients that are not retired.
    mailboxes: HashMap<MessagingKey, ClientId>,
    /// Who watches which scripts, and the last trigger that each was for them.
    watchers: Watchers,
    accounts: Accounts,
}

impl PushOutbox {
    /// Up to `max` owed pushes, by ascending client after `after`. A verification stays due until
    /// the target is verified, dead or removed, its code has expired by the clock of the log, or
    /// too many wrong codes came back; the caller paces repeats.
    #[must_use]
    pub fn due(&self, after: Option<ClientId>, max: usize) -> Vec<DuePush> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts.due(from).take(max).collect()
    }

    /// Looks at up to `max` owed pushes, by ascending client after `after`, and takes those that are
    /// `wanted`: most of them may be waiting for their time, so none is copied before that is known.
    #[must_use]
    pub fn due_page(
        &self,
        after: Option<ClientId>,
        max: usize,
        wanted: impl Fn(&ClientId, PushTargetId, DueKind) -> bool,
    ) -> DuePage {
        self.accounts.due_page(after, max, wanted)
    }

    /// True while this registration is owed something.
    #[must_use]
    pub fn is_owed(&self, client: &ClientId, id: PushTargetId) -> bool {
        self.accounts
            .get(client)
            .is_some_and(|account| account.owes_to(id))
    }

    /// The clients whose push target is in use, in no order.
    #[must_use]
    pub fn active(&self) -> Vec<ClientId> {
        let all = self.accounts.all().keys();
        all.filter(|client| self.accounts.active(client).is_some())
            .copied()
            .collect()
    }

    /// The push target of a client, if it is in use.
    #[must_use]
    pub fn active_target(&self, client: &ClientId) -> Option<(PushTargetId, PushRegistration)> {
        let (id, registration) = self.accounts.active(client)?;
        Some((id, registration.clone()))
    }

    /// How many bytes of memory it holds on to for who watches what.
    #[must_use]
    pub fn watchers_memory_bytes(&self) -> usize {
        self.watchers.memory_bytes()
    }

    /// How many clients are owed a push.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.accounts.owed()
    }

    fn apply_client(&mut self, client: ClientId, event: &ClientEvent) {
        match *event {
            ClientEvent::PushTargetSet {
                id,
                ref registration,
                code_expires_at,
                ..
            } => self.accounts.change(client, |account| {
                account.target = Some(Target {
                    id,
                    stage: Stage::Pending {
                        code_expires_at,
                        attempts: 0,
                    },
                    registration: registration.as_option().cloned(),
                });
            }),
            ClientEvent::PushTargetVerified { id, .. } => self.accounts.change(client, |account| {
                if let Some(target) = account.target_mut(id) {
                    target.stage = Stage::Active;
                }
            }),
            ClientEvent::PushCodeRefused { id, .. } => self.accounts.change(client, |account| {
                if let Some(target) = account.target_mut(id) {
                    target.refuse_code();
                }
            }),
            ClientEvent::PushTargetRemoved { id, .. } | ClientEvent::PushTargetDead { id, .. } => {
                self.accounts.change(client, |account| {
                    if account.target_mut(id).is_some() {
                        account.target = None;
                    }
                });
            }
            ClientEvent::PushWoken { through, .. } => {
                // Never below a number that was given out, even if older events were dropped.
                self.triggers = self.triggers.max(through);
                self.accounts.change(client, |account| {
                    account.woken_through = account.woken_through.max(through);
                });
            }
            ClientEvent::ClientRetired { .. } => self.retire(client),
            ClientEvent::ClientRegistered { .. } | ClientEvent::MessagingKeyRotated { .. } => {}
        }
    }

    fn apply_mailbox(&mut self, stream: &StreamId, event: &MailboxEvent) {
        let Some(mailbox) = mailbox_of(stream) else {
            return;
        };
        match *event {
            MailboxEvent::MailboxOpened { owner, .. } => {
                self.mailboxes.insert(mailbox, owner);
                self.accounts.change(owner, |account| {
                    account.mailboxes.entry(mailbox).or_default();
                });
            }
            MailboxEvent::MessageAccepted { seq, .. } => {
                self.triggers += 1;
                let trigger = self.triggers;
                self.change_waiting(mailbox, |waiting| *waiting = Waiting { seq, trigger });
            }
            MailboxEvent::MessagesAcknowledged { through, .. } => {
                self.change_waiting(mailbox, |waiting| {
                    if through >= waiting.seq {
                        waiting.trigger = 0;
                    }
                });
            }
            MailboxEvent::MailboxClosed { .. } => {
                if let Some(owner) = self.mailboxes.remove(&mailbox) {
                    self.accounts.change(owner, |account| {
                        account.mailboxes.remove(&mailbox);
                    });
                }
            }
            MailboxEvent::MailboxForwarded { .. }
            | MailboxEvent::MailboxReopened { .. }
            | MailboxEvent::StrangerPolicyChanged { .. }
            | MailboxEvent::DeliveryTokensAdded { .. }
            | MailboxEvent::DeliveryTokensRevoked { .. }
            | MailboxEvent::DeliveryTokenSpent { .. }
            | MailboxEvent::MailboxFilled { .. }
            | MailboxEvent::MailboxHasRoom { .. }
            | MailboxEvent::MessageParked { .. }
            | MailboxEvent::ParkedMessagesAcknowledged { .. }
            | MailboxEvent::MessageGone { .. } => {}
        }
    }

    fn change_waiting(&mut self, mailbox: MessagingKey, change: impl FnOnce(&mut Waiting)) {
        if let Some(owner) = self.mailboxes.get(&mailbox) {
            self.accounts.change(*owner, |account| {
                change(account.mailboxes.entry(mailbox).or_default());
            });
        }
    }

    fn unwatch(&mut self, client: ClientId, id: WatchId) {
        let trigger = self.watchers.unwatch(&client, id);
        let Some(trigger) = trigger.filter(|trigger| *trigger > 0) else {
            return;
        };
        let watchers = &self.watchers;
        self.accounts.change(client, |account| {
            // Only when the script was the last trigger does another one take its place.
            if trigger == account.transaction_trigger {
                account.transaction_trigger = watchers.last_trigger(&client);
            }
        });
    }

    /// A transaction that touches `script` changed.
    fn touch(&mut self, script: &ScriptHash) {
        self.triggers += 1;
        for client in self.watchers.touch(script.into(), self.triggers) {
            self.accounts.change(client, |account| {
                account.transaction_trigger = self.triggers;
            });
        }
    }

    fn retire(&mut self, client: ClientId) {
        self.watchers.forget(&client);
        let Some(account) = self.accounts.remove(&client) else {
            return;
        };
        for mailbox in account.mailboxes.keys() {
            self.mailboxes.remove(mailbox);
        }
    }
}

impl Projection for PushOutbox {
    const NAME: &'static str = "push_outbox";
    const VERSION: u32 = 3;

    fn apply(&mut self, envelope: &Envelope) {
        self.accounts.lapse_codes(envelope.metadata.recorded_at);
        match &envelope.event {
            Event::Client(event) => {
                if let Some(client) = client_of(&envelope.stream) {
                    self.apply_client(client, event);
                }
            }
            Event::Mailbox(event) => self.apply_mailbox(&envelope.stream, event),
            Event::Watchlist(event) => {
                let Some(client) = client_of(&envelope.stream) else {
                    return;
                };
                match event {
                    WatchlistEvent::AddressWatched {
                        id,
                        target: Sealed::Present(target),
                        ..
                    } => self.watchers.watch(client, *id, (&target.hash()).into(), 0),
                    WatchlistEvent::AddressWatched {
                        target: Sealed::Erased,
                        ..
                    }
                    | WatchlistEvent::WatchOptionsChanged { .. } => {}
                    WatchlistEvent::AddressUnwatched { id, .. } => self.unwatch(client, *id),
                }
            }
            Event::Chain(event) => {
                // Nobody asked for the depth at which the server calls a transaction final, and
                // nobody is woken for the past.
                let asked_for = !matches!(
                    event,
                    ChainEvent::TransactionFinal { .. }
                        | ChainEvent::TransactionConfirmed {
                            backfilled: true,
                            ..
                        }
                );
                if let Some(script) = event.touched_script().filter(|_| asked_for) {
                    self.touch(script);
                }
            }
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        stored::snapshot(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        stored::restore(bytes)
    }

    fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
        stored::tree(bytes)
    }
}
