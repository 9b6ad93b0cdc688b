//! The snapshot of the status of transactions.

use satpost_domain::chain::{BlockRef, ReplacedIn};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use super::chain_tip::ChainTip;
use super::history::{History, Record};
use super::{Status, Step, TransactionStatus};
use crate::projection::SnapshotError;
use crate::snapshot::{from_bytes, sorted, to_bytes, to_tree};

#[derive(Serialize, Deserialize)]
struct Stored {
    histories: Vec<(ScriptHash, Vec<StoredRecord>)>,
    recent: Vec<StoredBlock>,
    gap_open: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    txid: Txid,
    received_sat: u64,
    spent_sat: u64,
    is_coinbase: bool,
    steps: Vec<(Position, Timestamp, StoredStatus)>,
}

#[derive(Serialize, Deserialize)]
struct StoredBlock {
    height: u32,
    hash: BlockHash,
}

#[derive(Serialize, Deserialize)]
enum StoredStatus {
    Seen,
    Confirmed(StoredBlock),
    Unconfirmed(StoredBlock),
    ReplacedInMempool(Txid),
    ReplacedInBlock(Txid),
    Evicted,
    DepthReached(u32, StoredBlock),
    Matured(StoredBlock),
    Final(StoredBlock),
}

pub(super) fn snapshot(state: &TransactionStatus) -> Vec<u8> {
    to_bytes(&Stored {
        histories: sorted(&state.histories)
            .into_iter()
            .map(|(script, history)| (*script, store_history(history)))
            .collect(),
        recent: state.tip.recent.iter().copied().map(Into::into).collect(),
        gap_open: state.gap_open,
    })
}

pub(super) fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
    to_tree::<Stored>(bytes)
}

pub(super) fn restore(bytes: &[u8]) -> Result<TransactionStatus, SnapshotError> {
    let stored: Stored = from_bytes(bytes)?;
    Ok(TransactionStatus {
        histories: stored
            .histories
            .into_iter()
            .map(|(script, records)| Ok((script, load_history(records)?)))
            .collect::<Result<_, SnapshotError>>()?,
        tip: ChainTip {
            recent: stored.recent.into_iter().map(Into::into).collect(),
        },
        gap_open: stored.gap_open,
    })
}

fn store_history(history: &History) -> Vec<StoredRecord> {
    history
        .records
        .iter()
        .map(|(txid, record)| StoredRecord {
            txid: *txid,
            received_sat: record.received_sat,
            spent_sat: record.spent_sat,
            is_coinbase: record.is_coinbase,
            steps: record
                .steps
                .iter()
                .map(|step| (step.position, step.recorded_at, step.state.into()))
                .collect(),
        })
        .collect()
}

fn load_history(records: Vec<StoredRecord>) -> Result<History, SnapshotError> {
    let mut history = History::default();
    for stored in records {
        let steps: Vec<Step> = stored
            .steps
            .into_iter()
            .map(|(position, recorded_at, state)| Step {
                position,
                recorded_at,
                state: state.into(),
            })
            .collect();
        let last = steps.last().ok_or_else(|| SnapshotError {
            reason: "a transaction has no steps".to_owned(),
        })?;
        history.by_change.insert(last.position, stored.txid);
        history.records.insert(
            stored.txid,
            Record {
                received_sat: stored.received_sat,
                spent_sat: stored.spent_sat,
                is_coinbase: stored.is_coinbase,
                steps,
            },
        );
    }
    Ok(history)
}

impl From<BlockRef> for StoredBlock {
    fn from(block: BlockRef) -> Self {
        Self {
            height: block.height,
            hash: block.hash,
        }
    }
}

impl From<StoredBlock> for BlockRef {
    fn from(block: StoredBlock) -> Self {
        Self {
            height: block.height,
            hash: block.hash,
        }
    }
}

impl From<Status> for StoredStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Seen => Self::Seen,
            Status::Confirmed { block } => Self::Confirmed(block.into()),
            Status::Unconfirmed { block } => Self::Unconfirmed(block.into()),
            Status::Replaced { by, replaced_in } => match replaced_in {
                ReplacedIn::Mempool => Self::ReplacedInMempool(by),
                ReplacedIn::Block => Self::ReplacedInBlock(by),
            },
            Status::Evicted => Self::Evicted,
            Status::DepthReached { depth, block } => Self::DepthReached(depth, block.into()),
            Status::Matured { block } => Self::Matured(block.into()),
            Status::Final { block } => Self::Final(block.into()),
        }
    }
}

impl From<StoredStatus> for Status {
    fn from(stored: StoredStatus) -> Self {
        let replaced = |by, replaced_in| Self::Replaced { by, replaced_in };
        match stored {
            StoredStatus::Seen => Self::Seen,
            StoredStatus::Confirmed(block) => Self::Confirmed {
                block: block.into(),
            },
            StoredStatus::Unconfirmed(block) => Self::Unconfirmed {
                block: block.into(),
            },
            StoredStatus::ReplacedInMempool(by) => replaced(by, ReplacedIn::Mempool),
            StoredStatus::ReplacedInBlock(by) => replaced(by, ReplacedIn::Block),
            StoredStatus::Evicted => Self::Evicted,
            StoredStatus::DepthReached(depth, block) => Self::DepthReached {
                depth,
                block: block.into(),
            },
            StoredStatus::Matured(block) => Self::Matured {
                block: block.into(),
            },
            StoredStatus::Final(block) => Self::Final {
                block: block.into(),
            },
        }
    }
}
