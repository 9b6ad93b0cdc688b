//! Descriptors of the test vectors and of mistakes.

use bitcoin::bip32::{Xpriv, Xpub};
use bitcoin::key::Secp256k1;
use miniscript::descriptor::checksum::Engine;

use super::*;
use crate::receive_address::receive_address;
use crate::seed::Seed;

fn seed() -> Seed {
    Seed::from_entropy(&[0; 16]).unwrap()
}

/// The account key of BIP-86 on a test network, private and public.
fn account() -> (Xpriv, Xpub) {
    let secp = Secp256k1::new();
    let master = Xpriv::new_master(NetworkKind::Test, seed().bytes()).unwrap();
    let path: bitcoin::bip32::DerivationPath = "m/86h/1h/0h".parse().unwrap();
    let private = master.derive_priv(&secp, &path).unwrap();
    (private, Xpub::from_priv(&secp, &private))
}

fn with_checksum(text: &str) -> String {
    let mut engine = Engine::new();
    engine.input(text).unwrap();
    format!("{text}#{}", engine.checksum())
}

fn parse(text: &str) -> Result<WatchDescriptor, DescriptorError> {
    WatchDescriptor::parse(text, Network::Regtest)
}

#[test]
fn gives_the_addresses_that_the_wallet_gives() {
    let descriptor = parse(&with_checksum(&format!("tr({}/<0;1>/*)", account().1))).unwrap();
    assert_eq!((descriptor.chains(), descriptor.is_ranged()), (2, true));
    for index in [0, 1, 19, 1_000] {
        let address = receive_address(&seed(), Network::Regtest, index).unwrap();
        assert_eq!(
            descriptor.script(0, index).unwrap(),
            address.script_pubkey()
        );
        assert_ne!(
            descriptor.script(1, index).unwrap(),
            address.script_pubkey()
        );
    }
    assert!(descriptor.script(2, 0).is_err());
    assert!(descriptor.script(0, DESCRIPTOR_INDEX_MAX).is_err());
}

#[test]
fn takes_a_descriptor_of_one_script() {
    // BIP-381.
    let key = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd";
    let descriptor = parse(&with_checksum(&format!("wpkh({key})"))).unwrap();
    assert_eq!((descriptor.chains(), descriptor.is_ranged()), (1, false));
    assert_eq!(
        descriptor.script(0, 0).unwrap().to_hex_string(),
        "00149a1c78a507689f6f54b847ad1cef1e614ee23f1e"
    );
}

#[test]
fn refuses_private_keys_and_does_not_repeat_them() {
    let (private, _) = account();
    let wif = "cVpF924EspNh8KjYsfhgY96mmxvT6DgdWiTYMtMjuM74hJaU5psW";
    for key in [format!("{private}/0/*"), wif.to_owned()] {
        let text = with_checksum(&format!("wpkh({key})"));
        let error = parse(&text).unwrap_err();
        assert_eq!(error, DescriptorError::PrivateKey);
        assert!(!error.to_string().contains(&key));
    }
}

#[test]
fn refuses_a_typing_mistake_a_missing_checksum_and_another_network() {
    let text = format!("wpkh({}/0/*)", account().1);
    let good = with_checksum(&text);
    parse(&good).unwrap();
    assert_eq!(parse(&text).unwrap_err(), DescriptorError::NoChecksum);
    let wrong = good.replace("wpkh", "pkh");
    assert!(matches!(parse(&wrong), Err(DescriptorError::Malformed(_))));
    for text in ["#", "wpkh()#00000000", "nonsense#qqqqqqqq"] {
        assert!(
            matches!(parse(text), Err(DescriptorError::Malformed(_))),
            "{text}"
        );
    }
    assert_eq!(
        WatchDescriptor::parse(&good, Network::Mainnet).unwrap_err(),
        DescriptorError::WrongNetwork(Network::Mainnet)
    );
}
