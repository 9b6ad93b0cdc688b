//! The watch list.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// `POST /v1/addresses`: 1 to 100 addresses, scripts or hashes of scripts.
///
/// They stand in the body, as those of `DELETE /v1/addresses` do (RFC 9110, 9.3.5, lets an origin server say
/// so): URLs end up in the logs of proxies, and addresses must not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchAddressesRequest {
    /// What to watch.
    pub addresses: Vec<WatchEntry>,
    /// The depths for those that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depths: Option<Vec<u32>>,
    /// The birthday for those that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthday: Option<Birthday>,
}

/// An address as text, or an object with more to say. The lines of
/// `POST /v1/addresses:import` are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum WatchEntry {
    /// An address of the server's network.
    Address(String),
    /// Exactly one of `address`, `script` and `script_hash`, and what to hear of it.
    Detailed(DetailedEntry),
}

/// What to watch, and what to hear of it. What is not said stays as it is for a script that is watched
/// already, and gets the default for others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedEntry {
    /// An address of the server's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// An output script, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// SHA-256 of an output script, not reversed, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_hash: Option<String>,
    /// At which depths of a transaction to be told, beside its confirmation: up to 8 numbers from 2 to
    /// 144; 3 and 6 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depths: Option<Vec<u32>>,
    /// From when on its history is wanted; without one only what happens from now on is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthday: Option<Birthday>,
}

/// The moment before which an address was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Birthday {
    /// The height of a block.
    Height(u32),
    /// Milliseconds since the Unix epoch.
    Time(u64),
}

impl From<String> for WatchEntry {
    fn from(address: String) -> Self {
        Self::Address(address)
    }
}

impl<'de> Deserialize<'de> for WatchEntry {
    /// By hand, because a derived untagged enum cannot say what is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = WatchEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or an object")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WatchEntry, E> {
                Ok(WatchEntry::Address(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WatchEntry, A::Error> {
                DetailedEntry::deserialize(MapAccessDeserializer::new(map))
                    .map(WatchEntry::Detailed)
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

/// `DELETE /v1/addresses`: 1 to 100 addresses, scripts or hashes of scripts, without depths and birthdays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnwatchAddressesRequest {
    /// What not to watch any more.
    #[schema(min_items = 1, max_items = 100)]
    pub addresses: Vec<WatchEntry>,
}

/// What watching did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchAddressesResponse {
    /// How many of them were not watched before.
    pub added: usize,
    /// Of how many, watched before, depths or birthday changed.
    pub changed: usize,
}

/// What an import did. Every line is counted once: `lines` is the sum of `added`, `changed`, `unchanged`
/// and `refused`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportAddressesResponse {
    /// How many lines there were, empty ones aside.
    pub lines: usize,
    /// How many name an address that was not watched before.
    pub added: usize,
    /// How many name one whose depths or birthday changed.
    pub changed: usize,
    /// How many name one that was watched before, or was named before in this import.
    pub unchanged: usize,
    /// How many were refused. Nothing of them is watched; all others are.
    pub refused: usize,
    /// Why, for the first of them.
    pub errors: Vec<ImportError>,
}

/// Why a line was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// The line, from 1.
    pub line: usize,
    /// The code that a request with this line alone would be refused with.
    pub code: String,
    /// What is wrong with it.
    pub detail: String,
}

/// `GET /v1/addresses?after=&limit=`, by ascending script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListAddressesResponse {
    /// The watched addresses.
    pub addresses: Vec<WatchedAddress>,
    /// True when more follow; ask again with `after` = `cursor`.
    pub more: bool,
    /// Where this page ends; nothing when it is empty.
    pub cursor: Option<String>,
}

/// A watched address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedAddress {
    /// The address; nothing when the script has none, or only its hash is watched.
    pub address: Option<String>,
    /// The script in hexadecimal; nothing when only its hash is watched.
    pub script: Option<String>,
    /// SHA-256 of the script, not reversed, as Electrum and Esplora use it.
    pub script_hash: String,
    /// At which depths of a transaction the client is told.
    pub depths: Vec<u32>,
    /// From when on its history is wanted.
    pub birthday: Option<Birthday>,
    /// Since when it is watched.
    pub watched_at: u64,
}

impl WatchedAddress {
    /// The address, or else the script or its hash, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        let address = self.address.as_ref().or(self.script.as_ref());
        address.unwrap_or(&self.script_hash)
    }
}
