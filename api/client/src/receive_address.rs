//! Bitcoin addresses to be paid at: single-key taproot of BIP-86, `m/86'/coin'/0'/0/index`.

use bitcoin::bip32::{ChildNumber, Xpriv};
use bitcoin::key::Secp256k1;
use bitcoin::{Address, KnownHrp, NetworkKind};
use satpost_domain::network::Network;

use crate::seed::Seed;

/// How many addresses BIP-32 can derive in a chain without hardening.
pub const RECEIVE_ADDRESSES_MAX: u32 = 1 << 31;

/// The index is 2^31 or above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address {index} cannot be derived, the last one is {last}", last = RECEIVE_ADDRESSES_MAX - 1)]
pub struct AddressIndexError {
    /// The index asked for.
    pub index: u32,
}

/// The receive address with this index.
///
/// # Errors
/// [`AddressIndexError`].
pub fn receive_address(
    seed: &Seed,
    network: Network,
    index: u32,
) -> Result<Address, AddressIndexError> {
    let last = ChildNumber::from_normal_idx(index).map_err(|_| AddressIndexError { index })?;
    let (kind, hrp, coin) = match network {
        Network::Mainnet => (NetworkKind::Main, KnownHrp::Mainnet, 0),
        Network::Testnet | Network::Testnet4 | Network::Signet => {
            (NetworkKind::Test, KnownHrp::Testnets, 1)
        }
        Network::Regtest => (NetworkKind::Test, KnownHrp::Regtest, 1),
    };
    let path = [
        ChildNumber::Hardened { index: 86 },
        ChildNumber::Hardened { index: coin },
        ChildNumber::Hardened { index: 0 },
        ChildNumber::Normal { index: 0 },
        last,
    ];
    let secp = Secp256k1::new();
    let key = Xpriv::new_master(kind, seed.bytes())
        .and_then(|master| master.derive_priv(&secp, &path))
        .expect("BIP-32 fails for one key in 2^127");
    let (internal, _) = key.to_keypair(&secp).x_only_public_key();
    Ok(Address::p2tr(&secp, internal, None, hrp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::from_entropy(&[0; 16]).unwrap()
    }

    #[test]
    fn gives_the_addresses_of_bip_86() {
        for (index, address) in [
            (
                0,
                "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
            ),
            (
                1,
                "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
            ),
        ] {
            let derived = receive_address(&seed(), Network::Mainnet, index).unwrap();
            assert_eq!(derived.to_string(), address);
        }
    }

    #[test]
    fn each_network_has_its_prefix() {
        for (network, prefix) in [
            (Network::Testnet4, "tb1p"),
            (Network::Signet, "tb1p"),
            (Network::Regtest, "bcrt1p"),
        ] {
            let address = receive_address(&seed(), network, 0).unwrap().to_string();
            assert!(address.starts_with(prefix), "{network}: {address}");
        }
    }

    #[test]
    fn refuses_an_index_that_would_be_hardened() {
        let index = RECEIVE_ADDRESSES_MAX;
        assert_eq!(
            receive_address(&seed(), Network::Mainnet, index).unwrap_err(),
            AddressIndexError { index }
        );
    }
}
