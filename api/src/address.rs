//! Addresses: text at the edge, scripts inside.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network as BitcoinNetwork};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::WatchlistError;

use crate::problem::ApiError;

pub(crate) const fn bitcoin_network(network: Network) -> BitcoinNetwork {
    match network {
        Network::Mainnet => BitcoinNetwork::Bitcoin,
        Network::Testnet => BitcoinNetwork::Testnet,
        Network::Testnet4 => BitcoinNetwork::Testnet4,
        Network::Signet => BitcoinNetwork::Signet,
        Network::Regtest => BitcoinNetwork::Regtest,
    }
}

/// The scripts of `addresses`, in their order.
///
/// # Errors
/// `limit-exceeded` when there are none or too many; `invalid-address` names the first bad one by
/// its place, never by its text, which is longer than a detail should be.
pub(crate) fn scripts_of(addresses: &[String], network: Network) -> Result<Vec<Script>, ApiError> {
    let actual = addresses.len();
    if actual == 0 || actual > ADDRESSES_PER_REQUEST_MAX {
        return Err(WatchlistError::Count { actual }.into());
    }
    addresses
        .iter()
        .enumerate()
        .map(|(index, text)| {
            script_of(text, network).map_err(|what| {
                ApiError::new(ProblemCode::InvalidAddress)
                    .with_detail(format_args!("address {}: {what}", index + 1))
            })
        })
        .collect()
}

/// The script of one address, or what is wrong with it.
pub(crate) fn script_of(text: &str, network: Network) -> Result<Script, String> {
    let address: Address<NetworkUnchecked> = text
        .parse()
        .map_err(|error| format!("it does not parse: {error}"))?;
    if !address.is_valid_for_network(bitcoin_network(network)) {
        let belongs_to: Vec<&str> = Network::ALL
            .into_iter()
            .filter(|&other| address.is_valid_for_network(bitcoin_network(other)))
            .map(Network::name)
            .collect();
        return Err(format!(
            "it belongs to {}, this server is on {network}",
            belongs_to.join(" or ")
        ));
    }
    Script::new(address.assume_checked().script_pubkey().as_bytes())
        .map_err(|error| error.to_string())
}

/// The address of a watched script.
///
/// # Errors
/// `internal` when it has none: only scripts of addresses are ever watched.
pub(crate) fn address_of(script: &Script, network: Network) -> Result<String, ApiError> {
    let script = bitcoin::Script::from_bytes(script.as_bytes());
    Address::from_script(script, bitcoin_network(network))
        .map(|address| address.to_string())
        .map_err(|error| ApiError::internal(format_args!("a watched script: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One address of every kind (BIP-173, BIP-350, BIP-433 and the base58 forms), for mainnet.
    const MAINNET: [&str; 7] = [
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "bc1pfeessrawgf",
        "bc1sw50qgdz25j",
    ];

    #[test]
    fn gives_back_the_address_it_was_given() {
        for address in MAINNET {
            let script = script_of(address, Network::Mainnet).unwrap();
            assert_eq!(address_of(&script, Network::Mainnet).unwrap(), address);
        }
    }

    #[test]
    fn reads_upper_case_as_the_same_script() {
        let upper = MAINNET[2].to_uppercase();
        assert_eq!(
            script_of(&upper, Network::Mainnet),
            script_of(MAINNET[2], Network::Mainnet)
        );
    }

    #[test]
    fn names_both_networks_of_a_wrong_address() {
        for address in MAINNET {
            let what = script_of(address, Network::Regtest).unwrap_err();
            assert!(what.contains("belongs to mainnet"), "{what}");
            assert!(what.contains("on regtest"), "{what}");
        }
    }

    #[test]
    fn names_the_place_of_a_bad_address() {
        let addresses = [MAINNET[0].to_owned(), "nonsense".to_owned()];
        let error = scripts_of(&addresses, Network::Mainnet).unwrap_err();
        assert_eq!(error.code, ProblemCode::InvalidAddress);
        let detail = error.detail.unwrap();
        assert!(detail.starts_with("address 2: "), "{detail}");
    }

    #[test]
    fn refuses_none_and_too_many() {
        let many = vec![MAINNET[0].to_owned(); ADDRESSES_PER_REQUEST_MAX + 1];
        for addresses in [&[], &many[..]] {
            let error = scripts_of(addresses, Network::Mainnet).unwrap_err();
            assert_eq!(error.code, ProblemCode::LimitExceeded);
            assert_eq!(error.limit, Some(ADDRESSES_PER_REQUEST_MAX as u64));
        }
    }
}
