//! Watching the scripts of a descriptor, with a gap of unused ones kept watched ahead.

use std::collections::BTreeSet;

use miniscript::bitcoin::{Address, Network as BitcoinNetwork, Script};
use satpost_api_types::addresses::{Birthday, DetailedEntry, WatchEntry};
use satpost_domain::network::Network;

use super::{Wallet, WalletError};
use crate::descriptor::WatchDescriptor;

/// What the wallet wants to hear of the scripts of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorWatch {
    /// How many scripts behind the last used one are watched in each chain (BIP-44 names 20).
    pub gap: u32,
    /// At which depths to be told; the server's default when not said.
    pub depths: Option<Vec<u32>>,
    /// From when on the history is wanted.
    pub birthday: Option<Birthday>,
}

/// How far the chains of a descriptor are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorReach {
    /// How many scripts of each chain are watched, from index 0.
    pub watched: Vec<u32>,
    /// How many of all of them the server did not watch before.
    pub added: usize,
}

impl Wallet {
    /// Lets the server watch the scripts of `descriptor` up to `gap` behind the last one that a
    /// transaction touches. The server sees scripts, never the descriptor. To be called again when
    /// transactions come in: a used script moves the gap on.
    ///
    /// # Errors
    /// [`WalletError`].
    pub async fn watch_descriptor(
        &mut self,
        descriptor: &WatchDescriptor,
        watch: &DescriptorWatch,
    ) -> Result<DescriptorReach, WalletError> {
        let network = self.network()?;
        let used: BTreeSet<String> = self
            .list_transactions(None)
            .await?
            .transactions
            .into_iter()
            .map(|transaction| transaction.address)
            .collect();
        let mut entries = Vec::new();
        let mut watched = Vec::with_capacity(descriptor.chains());
        for chain in 0..descriptor.chains() {
            let scripts = reach(descriptor, chain, watch.gap, |script| {
                used.contains(&name_of(script, network))
            })?;
            watched.push(u32::try_from(scripts.len()).unwrap_or(u32::MAX));
            entries.extend(scripts.into_iter().map(|script| {
                WatchEntry::Detailed(DetailedEntry {
                    script: Some(script),
                    depths: watch.depths.clone(),
                    birthday: watch.birthday,
                    ..DetailedEntry::default()
                })
            }));
        }
        let added = self.watch_entries(&entries).await?;
        Ok(DescriptorReach { watched, added })
    }
}

/// The scripts of a chain, in hexadecimal, up to `gap` unused ones behind the last used.
fn reach(
    descriptor: &WatchDescriptor,
    chain: usize,
    gap: u32,
    is_used: impl Fn(&Script) -> bool,
) -> Result<Vec<String>, WalletError> {
    if !descriptor.is_ranged() {
        return Ok(vec![descriptor.script(chain, 0)?.to_hex_string()]);
    }
    let (mut scripts, mut end, mut index) = (Vec::new(), gap.max(1), 0);
    while index < end {
        let script = descriptor.script(chain, index)?;
        index += 1;
        if is_used(&script) {
            end = index.saturating_add(gap);
        }
        scripts.push(script.to_hex_string());
    }
    Ok(scripts)
}

/// What the server calls a script: its address, or else its bytes in hexadecimal.
fn name_of(script: &Script, network: Network) -> String {
    let network = match network {
        Network::Mainnet => BitcoinNetwork::Bitcoin,
        Network::Testnet => BitcoinNetwork::Testnet,
        Network::Testnet4 => BitcoinNetwork::Testnet4,
        Network::Signet => BitcoinNetwork::Signet,
        Network::Regtest => BitcoinNetwork::Regtest,
    };
    let address = Address::from_script(script, network);
    address.map_or_else(|_| script.to_hex_string(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The descriptor of BIP-86's test vectors.
    const DESCRIPTOR: &str = "tr(xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ/0/*)";

    fn descriptor() -> WatchDescriptor {
        let mut engine = miniscript::descriptor::checksum::Engine::new();
        engine.input(DESCRIPTOR).unwrap();
        let text = format!("{DESCRIPTOR}#{}", engine.checksum());
        WatchDescriptor::parse(&text, Network::Mainnet).unwrap()
    }

    fn reach_of(used: &[u32], gap: u32) -> usize {
        let descriptor = descriptor();
        let used: Vec<_> = used
            .iter()
            .map(|index| descriptor.script(0, *index).unwrap())
            .collect();
        let is_used = |script: &Script| used.iter().any(|used| used == script);
        reach(&descriptor, 0, gap, is_used).unwrap().len()
    }

    #[test]
    fn keeps_the_gap_behind_the_last_used_script() {
        assert_eq!(reach_of(&[], 20), 20);
        assert_eq!(reach_of(&[0], 20), 21);
        assert_eq!(reach_of(&[3, 19], 20), 40);
        assert_eq!(reach_of(&[19, 39, 59], 20), 80);
        // Behind a gap nothing is found.
        assert_eq!(reach_of(&[20], 20), 20);
        assert_eq!(reach_of(&[], 0), 1);
    }

    #[test]
    fn knows_scripts_by_the_names_of_the_server() {
        let first = descriptor().script(0, 0).unwrap();
        let name = name_of(&first, Network::Mainnet);
        // BIP-86, test vectors.
        assert_eq!(
            name,
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
        );
        let odd = Script::from_bytes(&[0x51]);
        assert_eq!(name_of(odd, Network::Mainnet), "51");
    }
}
