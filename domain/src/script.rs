//! Output scripts, the form in which the server knows an address.

use crate::hash::sha256;
use crate::ids::ScriptHash;
use crate::limits::SCRIPT_BYTES_MAX;

/// The bytes of an output script (scriptPubKey).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Script(Box<[u8]>);

/// A script is empty or longer than [`SCRIPT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a watched script has 1 to {SCRIPT_BYTES_MAX} bytes, got {actual}")]
pub struct ScriptSizeError {
    /// How many bytes were given.
    pub actual: usize,
}

impl Script {
    /// Takes the bytes of a script.
    ///
    /// # Errors
    /// [`ScriptSizeError`] when it is empty or too long to be watched.
    pub fn new(bytes: &[u8]) -> Result<Self, ScriptSizeError> {
        if bytes.is_empty() || bytes.len() > SCRIPT_BYTES_MAX {
            return Err(ScriptSizeError {
                actual: bytes.len(),
            });
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes of the script.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> ScriptHash {
        ScriptHash::new(*sha256(&self.0).as_bytes())
    }
}
