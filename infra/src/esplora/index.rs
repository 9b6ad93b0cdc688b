//! An index of every script, transaction and spend of the node's best chain, for networks small
//! enough (regtest, signet, a test): a `redb` file for blocks, memory for the mempool.
//!
//! # Layout
//! - `tables`: the keys and values; `connect`: a block into them and out of them again.
//! - `mempool`: what waits, by the same questions; `view`: both at one moment.
//! - `sync`: makes the index agree with the node.
//!
//! # Rules
//! - A block goes in as a whole, and with it what takes it out again: a reorganisation needs
//!   nothing of the node but the new blocks.
//! - Readers see blocks and mempool change together, and the chain never without a tip.
//! - The file is never needed: what cannot be read, or is of another chain, is built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;

use bitcoin::Network;
use bitcoin::constants::genesis_block;
use redb::{Database, ReadableTable as _};
use tokio::sync::{Mutex, watch};

mod connect;
mod mempool;
mod sync;
mod tables;
mod view;

use mempool::Mempool;
use sync::Round;
pub use sync::{SyncError, keep_in_step};
pub(super) use view::{View, pays};

/// How much of the file `redb` holds in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its folder cannot be.
    #[error("the Esplora index {path} cannot be used: {reason}")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file gives an error.
    #[error("the Esplora index failed: {0}")]
    Storage(String),
    /// What is in the file contradicts itself or the chain.
    #[error("the Esplora index is not what it was: {0}")]
    Contradiction(String),
}

/// Every error of `redb` means the same here.
impl<E: Into<redb::Error>> From<E> for IndexError {
    fn from(error: E) -> Self {
        Self::Storage(error.into().to_string())
    }
}

/// The index.
pub struct Index {
    database: Database,
    mempool: RwLock<Mempool>,
    /// True since the index has agreed with the node for the first time after the start.
    agreed: AtomicBool,
    /// One synchronisation at a time.
    round: Mutex<Round>,
    changes: watch::Sender<u64>,
}

impl Index {
    /// Opens the index in `folder`, or begins one. A file that is damaged, of another form or of
    /// another network is replaced.
    ///
    /// # Errors
    /// [`IndexError`] when the folder cannot be used.
    pub fn open(folder: &Path, network: Network) -> Result<Self, IndexError> {
        let unusable = |error: std::io::Error| IndexError::Unusable {
            path: folder.to_owned(),
            reason: error.to_string(),
        };
        fs::create_dir_all(folder).map_err(unusable)?;
        let path = folder.join("index.redb");
        let database = match prepared(&path, network) {
            Ok(database) => database,
            Err(error) if path.exists() && !is_taken(&error) => {
                tracing::warn!(%error, "the Esplora index cannot be used and is built again");
                fs::remove_file(&path).map_err(unusable)?;
                prepared(&path, network)?
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            database,
            mempool: RwLock::default(),
            agreed: AtomicBool::new(false),
            round: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    /// Counts the changes of blocks and mempool.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Another process has the file: that is no reason to delete it.
fn is_taken(error: &IndexError) -> bool {
    matches!(error, IndexError::Storage(text) if text.contains("already open"))
}

/// Opens the file and checks that it is of this form and network.
fn prepared(path: &Path, network: Network) -> Result<Database, IndexError> {
    let database = redb::Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create(path)?;
    let genesis = genesis_block(network).block_hash().to_string();
    let expected = format!("{} {genesis}", tables::FORM);
    let transaction = database.begin_write()?;
    {
        let mut form = transaction.open_table(tables::META)?;
        let found = form.get("form")?.map(|form| form.value().to_owned());
        match found {
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(IndexError::Contradiction(format!(
                    "it is {found}, expected {expected}"
                )));
            }
            None => {
                form.insert("form", expected.as_str())?;
            }
        }
        // Readers open what is there.
        tables::Tables::open(&transaction)?;
    }
    transaction.commit()?;
    Ok(database)
}
