//! Which scripts are watched, and by whom.

use satpost_domain::ids::ScriptHash;
use satpost_domain::script::Script;
use satpost_domain::{ClientId, Envelope, Timestamp};

use crate::projection::{Projection, SnapshotError};

/// An address on a client's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedScript {
    /// The script.
    pub script: Script,
    /// Since when it is watched.
    pub watched_at: Timestamp,
}

/// The projection.
#[derive(Debug, Default)]
pub struct WatchedScripts {}

impl WatchedScripts {
    /// The hash of `script` when anybody watches it. Called for every output of every
    /// transaction: constant time, no allocation.
    #[must_use]
    pub fn lookup(&self, script: &[u8]) -> Option<ScriptHash> {
        let _ = script;
        todo!()
    }

    /// Who watches the script with this hash, by ascending id.
    pub fn watchers(&self, script: &ScriptHash) -> impl Iterator<Item = ClientId> + '_ {
        let _ = script;
        std::iter::empty()
    }

    /// Up to `max` scripts of a client after the script `after`, by ascending script.
    #[must_use]
    pub fn list(
        &self,
        client: &ClientId,
        after: Option<&Script>,
        max: usize,
    ) -> Vec<WatchedScript> {
        let _ = (client, after, max);
        todo!()
    }

    /// True when `client` watches the script with this hash.
    #[must_use]
    pub fn watches(&self, client: &ClientId, script: &ScriptHash) -> bool {
        let _ = (client, script);
        todo!()
    }

    /// The hashes of all scripts of a client.
    #[must_use]
    pub fn hashes(&self, client: &ClientId) -> Vec<ScriptHash> {
        let _ = client;
        todo!()
    }

    /// How many scripts are watched by anybody.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// True when nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Projection for WatchedScripts {
    const NAME: &'static str = "watched_scripts";
    const VERSION: u32 = 1;

    fn apply(&mut self, _envelope: &Envelope) {
        todo!()
    }

    fn snapshot(&self) -> Vec<u8> {
        todo!()
    }

    fn restore(_bytes: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
}
