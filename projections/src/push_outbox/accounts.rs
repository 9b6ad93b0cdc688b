//! What is known of each client, and who is owed a push.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use satpost_domain::limits::PUSH_CODE_ATTEMPTS_MAX;
use satpost_domain::push::PushRegistration;
use satpost_domain::{ClientId, MessagingKey, PushTargetId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DueKind, DuePage, DuePush};

/// One client. Trigger numbers are 0 when there was none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) target: Option<Target>,
    /// The last change of a transaction that touches a script it watches now; the watchers know which
    /// one that is.
    pub(super) transaction_trigger: u64,
    pub(super) woken_through: u64,
    pub(super) mailboxes: BTreeMap<MessagingKey, Waiting>,
}

/// The last message in a mailbox. Once it is acknowledged, the phone has all there was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Its place in the mailbox; 0 when there was none.
    pub(super) seq: u64,
    /// The trigger it was; 0 once it is acknowledged.
    pub(super) trigger: u64,
}

/// A push target that is not dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) id: PushTargetId,
    pub(super) stage: Stage,
    /// Absent when it was erased.
    pub(super) registration: Option<PushRegistration>,
}

/// How far a target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its code is to be sent.
    Pending {
        code_expires_at: Timestamp,
        attempts: u8,
    },
    /// Its code is of no use any more.
    Lapsed,
    /// It is in use.
    Active,
}

impl Target {
    /// A wrong code came back.
    pub(super) fn refuse_code(&mut self) {
        if let Stage::Pending { attempts, .. } = &mut self.stage {
            *attempts = attempts.saturating_add(1);
            if *attempts >= PUSH_CODE_ATTEMPTS_MAX {
                self.stage = Stage::Lapsed;
            }
        }
    }
}

impl Account {
    /// Its target, if it is still this registration.
    pub(super) fn target_mut(&mut self, id: PushTargetId) -> Option<&mut Target> {
        self.target.as_mut().filter(|target| target.id == id)
    }

    fn last_trigger(&self) -> u64 {
        let messages = self.mailboxes.values().map(|waiting| waiting.trigger);
        messages.max().unwrap_or(0).max(self.transaction_trigger)
    }

    /// What is owed now, if anything.
    fn owes(&self) -> Option<(&Target, &PushRegistration, DueKind)> {
        let target = self.target.as_ref()?;
        let registration = target.registration.as_ref()?;
        let kind = match target.stage {
            Stage::Pending { .. } => DueKind::Verification,
            Stage::Active if self.last_trigger() > self.woken_through => DueKind::Wake {
                through: self.last_trigger(),
            },
            Stage::Active | Stage::Lapsed => return None,
        };
        Some((target, registration, kind))
    }

    /// True when something is owed through this registration.
    pub(super) fn owes_to(&self, id: PushTargetId) -> bool {
        self.owes().is_some_and(|(target, ..)| target.id == id)
    }

    /// When the code it waits for expires.
    fn code_deadline(&self) -> Option<Timestamp> {
        match self.target.as_ref()?.stage {
            Stage::Pending {
                code_expires_at, ..
            } => Some(code_expires_at),
            Stage::Lapsed | Stage::Active => None,
        }
    }
}

/// All accounts, with the two indexes that follow from them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_client: HashMap<ClientId, Account>,
    owed: BTreeSet<ClientId>,
    code_deadlines: BTreeSet<(Timestamp, ClientId)>,
}

impl Accounts {
    pub(super) fn get(&self, client: &ClientId) -> Option<&Account> {
        self.by_client.get(client)
    }

    pub(super) fn all(&self) -> &HashMap<ClientId, Account> {
        &self.by_client
    }

    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// What is owed, by ascending client.
    pub(super) fn due(&self, from: Bound<ClientId>) -> impl Iterator<Item = DuePush> {
        self.owed
            .range((from, Bound::Unbounded))
            .filter_map(|client| self.due_of(client))
    }

    /// What is owed to one client.
    fn due_of(&self, client: &ClientId) -> Option<DuePush> {
        let (target, registration, kind) = self.by_client.get(client)?.owes()?;
        Some(DuePush {
            client: *client,
            id: target.id,
            registration: registration.clone(),
            kind,
        })
    }

    /// Looks at up to `max` owed pushes after `after` and takes those that are `wanted`.
    pub(super) fn due_page(
        &self,
        after: Option<ClientId>,
        max: usize,
        wanted: impl Fn(&ClientId, PushTargetId, DueKind) -> bool,
    ) -> DuePage {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = DuePage::default();
        for (looked_at, client) in self.owed.range((from, Bound::Unbounded)).enumerate() {
            if looked_at == max {
                page.more = true;
                break;
            }
            page.last = Some(*client);
            let owes = self.by_client.get(client).and_then(Account::owes);
            if let Some((target, registration, kind)) = owes
                && wanted(client, target.id, kind)
            {
                page.due.push(DuePush {
                    client: *client,
                    id: target.id,
                    registration: registration.clone(),
                    kind,
                });
            }
        }
        page
    }

    /// The target of a client, if it is in use.
    pub(super) fn active(&self, client: &ClientId) -> Option<(PushTargetId, &PushRegistration)> {
        let target = self.by_client.get(client)?.target.as_ref()?;
        let registration = target.registration.as_ref()?;
        (target.stage == Stage::Active).then_some((target.id, registration))
    }

    /// Changes the account of a client and brings the indexes in line with it. An account about
    /// which nothing is known takes no memory.
    pub(super) fn change(&mut self, client: ClientId, change: impl FnOnce(&mut Account)) {
        let account = self.by_client.entry(client).or_default();
        let before = account.code_deadline();
        change(account);
        let after = account.code_deadline();
        if account.owes().is_some() {
            self.owed.insert(client);
        } else {
            self.owed.remove(&client);
        }
        if *account == Account::default() {
            self.by_client.remove(&client);
        }
        if before != after {
            self.set_deadline(client, before, after);
        }
    }

    pub(super) fn remove(&mut self, client: &ClientId) -> Option<Account> {
        let account = self.by_client.remove(client)?;
        self.owed.remove(client);
        self.set_deadline(*client, account.code_deadline(), None);
        Some(account)
    }

    fn set_deadline(
        &mut self,
        client: ClientId,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if let Some(deadline) = before {
            self.code_deadlines.remove(&(deadline, client));
        }
        if let Some(deadline) = after {
            self.code_deadlines.insert((deadline, client));
        }
    }

    /// Codes that have expired at `now`, the time of an event, are not sent any more. A projection
    /// has no other clock, and a rebuild sees the same one.
    pub(super) fn lapse_codes(&mut self, now: Timestamp) {
        while let Some(&(deadline, client)) = self.code_deadlines.first()
            && deadline <= now
        {
            self.change(client, |account| {
                if let Some(target) = &mut account.target {
                    target.stage = Stage::Lapsed;
                }
            });
        }
    }
}
