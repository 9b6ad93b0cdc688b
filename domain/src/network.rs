//! The Bitcoin networks a server can stand on; a server knows exactly one.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// A Bitcoin network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The main network.
    Mainnet,
    /// Test network 3.
    Testnet,
    /// Test network 4 (BIP-94).
    Testnet4,
    /// The default signet (BIP-325).
    Signet,
    /// A private chain for tests.
    Regtest,
}

/// The text names no known network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown network {0:?}; use mainnet, testnet, testnet4, signet or regtest")]
pub struct UnknownNetwork(pub String);

impl Network {
    /// Every network, in the order of this list.
    pub const ALL: [Self; 5] = [
        Self::Mainnet,
        Self::Testnet,
        Self::Testnet4,
        Self::Signet,
        Self::Regtest,
    ];

    /// Its name in configuration, stream names and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The time in the header of block 0 (the chain parameters of Bitcoin Core, BIP-94, BIP-325).
    #[must_use]
    pub const fn genesis_at(self) -> Timestamp {
        let secs = match self {
            Self::Mainnet => 1_231_006_505,
            Self::Testnet | Self::Regtest => 1_296_688_602,
            Self::Testnet4 => 1_714_777_860,
            Self::Signet => 1_598_918_400,
        };
        Timestamp::from_millis(secs * 1000)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|network| network.name() == text)
            .ok_or_else(|| UnknownNetwork(text.to_owned()))
    }
}
