//! Domain-separated SHA-256: every use has its own tag, so a hash made for one purpose never
//! stands for another.

use sha2::{Digest as _, Sha256};

use crate::ids::Digest;

/// Hashes `parts` under `tag`: SHA-256(SHA-256(tag) ‖ SHA-256(tag) ‖ parts…), the construction of
/// BIP-340. Callers keep the parts of fixed size, or prefix their lengths.
#[must_use]
pub fn tagged(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let tag_digest = Sha256::digest(tag.as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(tag_digest);
    hasher.update(tag_digest);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first 16 bytes of [`tagged`].
#[must_use]
pub fn tagged_16(tag: &str, parts: &[&[u8]]) -> [u8; 16] {
    let digest = tagged(tag, parts);
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

/// Plain SHA-256 of a payload.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_tag_gives_another_hash() {
        assert_ne!(tagged("satpost/a", &[b"x"]), tagged("satpost/b", &[b"x"]));
    }

    #[test]
    fn hashes_an_empty_payload_like_fips_180_4() {
        assert_eq!(
            sha256(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
