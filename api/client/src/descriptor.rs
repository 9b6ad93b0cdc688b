//! Output descriptors (BIP-380): the scripts of a wallet, worked out here.
//!
//! A descriptor with an extended public key shows every address a wallet ever had and will have. It
//! never goes to the server: that sees scripts, as many as are needed.

use std::str::FromStr as _;

use miniscript::bitcoin::{NetworkKind, PrivateKey, ScriptBuf};
use miniscript::descriptor::{Descriptor, DescriptorPublicKey};
use miniscript::{DefiniteDescriptorKey, ForEachKey as _};
use satpost_domain::network::Network;

/// How many scripts of each chain are worked out at most.
pub const DESCRIPTOR_INDEX_MAX: u32 = 1 << 31;

/// Descriptors are longer than any address, but not endless.
const DESCRIPTOR_BYTES_MAX: usize = 16 * 1024;

/// Why a descriptor cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// It has a private key. It is not repeated here.
    #[error("the descriptor has a private key; watching needs the public one only")]
    PrivateKey,
    /// It ends without its checksum, so a typing mistake could not be seen.
    #[error("the descriptor has no checksum; it ends with # and 8 characters")]
    NoChecksum,
    /// It does not parse, or its checksum is wrong.
    #[error("the descriptor does not parse: {0}")]
    Malformed(String),
    /// Its keys are those of another kind of network.
    #[error("the descriptor is not for {0}")]
    WrongNetwork(Network),
    /// A script cannot be worked out.
    #[error("script {index} of the descriptor cannot be derived: {reason}")]
    NotDerived {
        /// The index.
        index: u32,
        /// What is wrong.
        reason: String,
    },
}

/// A descriptor with public keys only.
#[derive(Debug, Clone)]
pub struct WatchDescriptor {
    chains: Vec<Descriptor<DescriptorPublicKey>>,
}

impl WatchDescriptor {
    /// Takes a descriptor with its checksum, for `network`. One with several paths (`<0;1>`, BIP-389) is
    /// several chains.
    ///
    /// # Errors
    /// [`DescriptorError`].
    pub fn parse(text: &str, network: Network) -> Result<Self, DescriptorError> {
        let text = text.trim();
        if has_private_key(text) {
            return Err(DescriptorError::PrivateKey);
        }
        if text.len() > DESCRIPTOR_BYTES_MAX {
            let length = text.len();
            return Err(DescriptorError::Malformed(format!(
                "it has {length} bytes, more than {DESCRIPTOR_BYTES_MAX}"
            )));
        }
        if !text.contains('#') {
            return Err(DescriptorError::NoChecksum);
        }
        let malformed = |error: miniscript::Error| DescriptorError::Malformed(error.to_string());
        let descriptor = Descriptor::<DescriptorPublicKey>::from_str(text).map_err(malformed)?;
        let kind = match network {
            Network::Mainnet => NetworkKind::Main,
            Network::Testnet | Network::Testnet4 | Network::Signet | Network::Regtest => {
                NetworkKind::Test
            }
        };
        if !descriptor.for_each_key(|key| is_for(key, kind)) {
            return Err(DescriptorError::WrongNetwork(network));
        }
        let chains = descriptor.into_single_descriptors().map_err(malformed)?;
        Ok(Self { chains })
    }

    /// How many chains it has: one for each of its paths.
    #[must_use]
    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// True when a chain has more than one script.
    #[must_use]
    pub fn is_ranged(&self) -> bool {
        self.chains.iter().any(Descriptor::has_wildcard)
    }

    /// The script at `index` of a chain; the index means nothing where there is no wildcard.
    ///
    /// # Errors
    /// [`DescriptorError::NotDerived`], also when there is no such chain.
    pub fn script(&self, chain: usize, index: u32) -> Result<ScriptBuf, DescriptorError> {
        let failed = |reason: String| DescriptorError::NotDerived { index, reason };
        let descriptor = self
            .chains
            .get(chain)
            .ok_or_else(|| failed("there is no such chain".to_owned()))?;
        let definite: Descriptor<DefiniteDescriptorKey> = descriptor
            .at_derivation_index(index)
            .map_err(|error| failed(error.to_string()))?;
        Ok(definite.script_pubkey())
    }
}

/// True for extended private keys and for WIF keys. Looks at the text, because a parser of public keys
/// would only say that it does not understand them, and show them.
fn has_private_key(text: &str) -> bool {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let is_wif = |word: &str| {
        matches!(word.len(), 51 | 52)
            && word.starts_with(['5', 'K', 'L', '9', 'c'])
            && PrivateKey::from_wif(word).is_ok()
    };
    words
        .into_iter()
        .any(|word| (word.len() > 100 && word.get(1..4) == Some("prv")) || is_wif(word))
}

fn is_for(key: &DescriptorPublicKey, kind: NetworkKind) -> bool {
    match key {
        DescriptorPublicKey::Single(_) => true,
        DescriptorPublicKey::XPub(key) => key.xkey.network == kind,
        DescriptorPublicKey::MultiXPub(key) => key.xkey.network == kind,
    }
}

#[cfg(test)]
mod tests;
