//! The snapshot of the push outbox.

use satpost_domain::{ClientId, MessagingKey, PushTargetId, Timestamp, WatchId};
use serde::{Deserialize, Serialize};

use super::PushOutbox;
use super::accounts::{Account, Stage, Target, Waiting};
use super::watchers::ScriptPrefix;
use crate::projection::SnapshotError;
use crate::snapshot::{StoredRegistration, from_bytes, sorted, to_bytes, to_tree};

#[derive(Serialize, Deserialize)]
struct Stored {
    triggers: u64,
    accounts: Vec<StoredAccount>,
    watches: Vec<StoredWatches>,
}

#[derive(Serialize, Deserialize)]
struct StoredAccount {
    client: ClientId,
    target: Option<(PushTargetId, StoredStage, Option<StoredRegistration>)>,
    woken_through: u64,
    mailboxes: Vec<(MessagingKey, Waiting)>,
}

/// What a client watches, in the order in which it was watched.
#[derive(Serialize, Deserialize)]
struct StoredWatches {
    client: ClientId,
    /// Each with the first bytes of the hash of the script, and the last trigger that it was.
    entries: Vec<(WatchId, [u8; 8], u64)>,
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
            .map(|(client, account)| store_account(*client, account))
            .collect(),
        watches: outbox
            .watchers
            .clients()
            .into_iter()
            .map(|client| StoredWatches {
                client,
                entries: outbox
                    .watchers
                    .entries(&client)
                    .map(|(id, script, trigger)| (id, script.0, trigger))
                    .collect(),
            })
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
    for StoredWatches { client, entries } in stored.watches {
        for (id, script, trigger) in entries {
            let script = ScriptPrefix(script);
            outbox.watchers.watch(client, id, script, trigger);
        }
    }
    for account in stored.accounts {
        load_account(&mut outbox, account)?;
    }
    Ok(outbox)
}

fn store_account(client: ClientId, account: &Account) -> StoredAccount {
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
    let transaction_trigger = outbox.watchers.last_trigger(&client);
    outbox.accounts.change(client, |account| {
        *account = Account {
            target,
            transaction_trigger,
            woken_through: stored.woken_through,
            mailboxes: stored.mailboxes.into_iter().collect(),
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
