//! What a watch looks for.

use crate::ids::ScriptHash;
use crate::script::Script;

/// A script, or only its hash from a wallet that does not want to tell more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchTarget {
    /// The script of an output.
    Script(Script),
    /// SHA-256 of the script of an output. To find it, every output must be hashed.
    Hash(ScriptHash),
}

impl WatchTarget {
    /// SHA-256 of the script: what names it everywhere else.
    #[must_use]
    pub fn hash(&self) -> ScriptHash {
        match self {
            Self::Script(script) => script.hash(),
            Self::Hash(hash) => *hash,
        }
    }

    /// The script, when it is known.
    #[must_use]
    pub const fn script(&self) -> Option<&Script> {
        match self {
            Self::Script(script) => Some(script),
            Self::Hash(_) => None,
        }
    }
}

impl From<Script> for WatchTarget {
    fn from(script: Script) -> Self {
        Self::Script(script)
    }
}

impl From<ScriptHash> for WatchTarget {
    fn from(hash: ScriptHash) -> Self {
        Self::Hash(hash)
    }
}
