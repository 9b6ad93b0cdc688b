//! The snapshot of the push outbox.

use satpost_domain::ids::ScriptHash;
use satpost_domain::{ClientId, MessagingKey, PushTargetId, Timestamp, WatchId};
use serde::{Deserialize, Serialize};

use super::PushOutbox;
use super::accounts::{Account, Stage, Target, Waiting};
use crate::per_client::PerClient;
use crate::projection::SnapshotError;
use crate::snapshot::{StoredRegistration, from_bytes, sorted, to_bytes, to_tree};

#[derive(Serialize, Deserialize)]
struct Stored {
    triggers: u64,
    accounts: Vec<StoredAccount>,
}

#[derive(Serialize, Deserialize)]
struct StoredAccount {
    client: ClientId,
    target: Option<(PushTargetId, StoredStage, Option<StoredRegistration>)>,
    woken_through: u64,
    mailboxes: Vec<(MessagingKey, Waiting)>,
    /// Each with the last trigger it was.
    watches: Vec<(WatchId, ScriptHash, u64)>,
}

#[derive(Serialize, Deserialize)]
enum StoredStage {
    Pending {
        code_expires_at: Timestamp,
        attempts: u8,
    },
    Lapsed,
    Active,
}

pub(super) fn snapshot(outbox: &PushOutbox) -> Vec<u8> {
    to_bytes(&Stored {
        triggers: outbox.triggers,
        accounts: sorted(outbox.accounts.all())
            .into_iter()
            .map(|(client, account)| store_account(outbox, *client, account))
            .collect(),
    })
}

pub(super) fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
    to_tree::<Stored>(bytes)
}

pub(super) fn restore(bytes: &[u8]) -> Result<PushOutbox, SnapshotError> {
    let stored: Stored = from_bytes(bytes)?;
    let mut outbox = PushOutbox {
        triggers: stored.triggers,
        ..PushOutbox::default()
    };
    for account in stored.accounts {
        load_account(&mut outbox, account)?;
    }
    Ok(outbox)
}

fn store_account(outbox: &PushOutbox, client: ClientId, account: &Account) -> StoredAccount {
    let last_trigger = |script| {
        outbox
            .watchers
            .get(script)
            .and_then(|watchers| watchers.get(&client))
            .copied()
            .unwrap_or(0)
    };
    StoredAccount {
        client,
        target: account.target.as_ref().map(|target| {
            (
                target.id,
                target.stage.into(),
                target.registration.as_ref().map(Into::into),
            )
        }),
        woken_through: account.woken_through,
        mailboxes: account
            .mailboxes
            .iter()
            .map(|(key, waiting)| (*key, *waiting))
            .collect(),
        watches: account
            .watches
            .iter()
            .map(|(id, script)| (*id, *script, last_trigger(script)))
            .collect(),
    }
}

fn load_account(outbox: &mut PushOutbox, stored: StoredAccount) -> Result<(), SnapshotError> {
    let client = stored.client;
    let target = match stored.target {
        None => None,
        Some((id, stage, registration)) => Some(Target {
            id,
            stage: stage.into(),
            registration: registration.map(TryInto::try_into).transpose()?,
        }),
    };
    for (mailbox, _) in &stored.mailboxes {
        outbox.mailboxes.insert(*mailbox, client);
    }
    for &(_, script, trigger) in &stored.watches {
        outbox
            .watchers
            .entry(script)
            .and_modify(|watchers| watchers.insert(client, trigger))
            .or_insert(PerClient::One(client, trigger));
    }
    outbox.accounts.change(client, |account| {
        *account = Account {
            target,
            transaction_trigger: stored
                .watches
                .iter()
                .map(|&(_, _, trigger)| trigger)
                .max()
                .unwrap_or(0),
            woken_through: stored.woken_through,
            mailboxes: stored.mailboxes.into_iter().collect(),
            watches: stored
                .watches
                .into_iter()
                .map(|(id, script, _)| (id, script))
                .collect(),
        };
    });
    Ok(())
}

impl From<Stage> for StoredStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Pending {
                code_expires_at,
                attempts,
            } => Self::Pending {
                code_expires_at,
                attempts,
            },
            Stage::Lapsed => Self::Lapsed,
            Stage::Active => Self::Active,
        }
    }
}

impl From<StoredStage> for Stage {
    fn from(stored: StoredStage) -> Self {
        match stored {
            StoredStage::Pending {
                code_expires_at,
                attempts,
            } => Self::Pending {
                code_expires_at,
                attempts,
            },
            StoredStage::Lapsed => Self::Lapsed,
            StoredStage::Active => Self::Active,
        }
    }
}
