//! The section `[esplora]`: the API that other Bitcoin wallets speak.

use std::net::SocketAddr;

use satpost_domain::limits::ESPLORA_UNSPENT_DEFAULT_MAX;
use serde::{Deserialize, Serialize};

/// The Esplora API. It is off unless it is enabled or has a port of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EsploraConfig {
    /// Whether it is served on the public listener, under `/esplora`. Anybody who reaches that may
    /// then ask whether an address is watched.
    pub enabled: bool,
    /// Where it is served on a port of its own; nowhere when empty.
    pub listen: Option<SocketAddr>,
    /// Which scripts it knows.
    pub index: EsploraIndex,
    /// How many unspent outputs of one script it tells.
    pub unspent_max: usize,
    /// Whether `/block-template` may be asked.
    pub mining: bool,
    /// What browsers of other sites are told (`Access-Control-Allow-Origin`), if anything.
    pub allow_origin: Option<String>,
    /// Requests a second that one peer of the own port may send on average.
    pub requests_per_second: u32,
    /// Requests that one peer of the own port may send at once after a pause.
    pub requests_burst: u32,
}

/// Which scripts the Esplora API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EsploraIndex {
    /// Those that some client watches.
    Watched,
    /// Every one, by an index of its own.
    All,
}

impl Default for EsploraConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: None,
            index: EsploraIndex::Watched,
            unspent_max: ESPLORA_UNSPENT_DEFAULT_MAX,
            mining: false,
            allow_origin: None,
            requests_per_second: 50,
            requests_burst: 500,
        }
    }
}

impl EsploraConfig {
    /// True when it is served anywhere.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.enabled || self.listen.is_some()
    }
}
