//! The printable name of a messaging key: the v3 .onion address of the same Ed25519 key
//! (rend-spec-v3, section 6): `base32(key ‖ checksum ‖ 3).onion`, where the checksum is the first
//! two bytes of SHA3-256(".onion checksum" ‖ key ‖ 3).

use data_encoding::BASE32_NOPAD;
use satpost_domain::{KeyError, MessagingKey};
use sha3::{Digest as _, Sha3_256};

const VERSION: u8 = 3;
const SUFFIX: &str = ".onion";

/// The text is no v3 .onion name of a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnionNameError {
    /// Not 56 base32 characters and `.onion`.
    #[error("an onion name is 56 base32 characters followed by .onion")]
    Form,
    /// The last byte is not 3.
    #[error("onion names of version {actual} are not known, only version 3")]
    Version {
        /// The version given.
        actual: u8,
    },
    /// Mistyped.
    #[error("the checksum of the onion name is wrong")]
    Checksum,
    /// The key can not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The .onion name of `key`, lower case.
#[must_use]
pub fn onion_name(key: &MessagingKey) -> String {
    let mut bytes = [0; 35];
    bytes[..32].copy_from_slice(key.as_bytes());
    bytes[32..34].copy_from_slice(&checksum(key.as_bytes()));
    bytes[34] = VERSION;
    BASE32_NOPAD.encode(&bytes).to_lowercase() + SUFFIX
}

/// The key behind an .onion name, in any case.
///
/// # Errors
/// [`OnionNameError`].
pub fn parse_onion_name(text: &str) -> Result<MessagingKey, OnionNameError> {
    let lower = text.to_ascii_lowercase();
    let encoded = lower.strip_suffix(SUFFIX).ok_or(OnionNameError::Form)?;
    let bytes: [u8; 35] = BASE32_NOPAD
        .decode(encoded.to_ascii_uppercase().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(OnionNameError::Form)?;
    let mut key = [0; 32];
    key.copy_from_slice(&bytes[..32]);
    if bytes[34] != VERSION {
        return Err(OnionNameError::Version { actual: bytes[34] });
    }
    if bytes[32..34] != checksum(&key) {
        return Err(OnionNameError::Checksum);
    }
    Ok(MessagingKey::new(key)?)
}

fn checksum(key: &[u8; 32]) -> [u8; 2] {
    let digest = Sha3_256::new()
        .chain_update(b".onion checksum")
        .chain_update(key)
        .chain_update([VERSION])
        .finalize();
    [digest[0], digest[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of rend-spec-v3's own example list.
    const EXAMPLE: &str = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion";

    #[test]
    fn reads_and_writes_the_example_of_the_specification() {
        let key = parse_onion_name(EXAMPLE).unwrap();
        assert_eq!(onion_name(&key), EXAMPLE);
        assert_eq!(parse_onion_name(&EXAMPLE.to_uppercase()), Ok(key));
    }

    #[test]
    fn notices_a_mistyped_name() {
        let mistyped = EXAMPLE.replacen("pg6m", "pg7m", 1);
        assert_eq!(parse_onion_name(&mistyped), Err(OnionNameError::Checksum));
        assert_eq!(
            parse_onion_name("duckduckgo.onion"),
            Err(OnionNameError::Form)
        );
        assert_eq!(parse_onion_name(&EXAMPLE[..56]), Err(OnionNameError::Form));
    }
}
