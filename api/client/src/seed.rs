//! The seed: BIP-39 words that a person writes down, and the 64 bytes every key comes from.

use std::fmt;
use std::str::FromStr;

use bip39::{Language, Mnemonic};
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::ports::Entropy;

/// How many words a new seed has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedLength {
    /// 12 words: 128 bits.
    Words12,
    /// 24 words: 256 bits.
    Words24,
}

impl SeedLength {
    const fn entropy_bytes(self) -> usize {
        match self {
            Self::Words12 => 16,
            Self::Words24 => 32,
        }
    }
}

/// Words that are no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Neither 12 nor 24 words.
    #[error("a seed has 12 or 24 words, got {actual}")]
    WordCount {
        /// How many words were given.
        actual: usize,
    },
    /// A word is not in the English list of BIP-39.
    #[error("word {place} is not in the BIP-39 list")]
    UnknownWord {
        /// Its place, from 1. The word itself is secret.
        place: usize,
    },
    /// All words exist, but not in this combination.
    #[error("the checksum of the words is wrong; one of them is mistyped or out of order")]
    Checksum,
}

/// A seed. It is wiped from memory when dropped and never printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Seed {
    entropy: Vec<u8>,
    /// Kept, because BIP-39 makes it with 2,048 rounds of PBKDF2.
    bytes: [u8; 64],
}

impl Seed {
    /// Draws a new seed.
    #[must_use]
    pub fn generate(length: SeedLength, entropy: &dyn Entropy) -> Self {
        let mut bytes = vec![0; length.entropy_bytes()];
        entropy.fill(&mut bytes);
        Self::new(bytes)
    }

    /// Takes back what [`Self::entropy`] gave.
    ///
    /// # Errors
    /// [`SeedError::WordCount`] unless there are 16 or 32 bytes.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, SeedError> {
        match entropy.len() {
            16 | 32 => Ok(Self::new(entropy.to_vec())),
            // BIP-39: 3 words for each 4 bytes.
            bytes => Err(SeedError::WordCount {
                actual: bytes * 3 / 4,
            }),
        }
    }

    /// The 16 or 32 bytes behind the words.
    #[must_use]
    pub fn entropy(&self) -> &[u8] {
        &self.entropy
    }

    /// The words, with one space between them. Whoever reads them owns the wallet.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        Zeroizing::new(mnemonic(&self.entropy).to_string())
    }

    /// The 64 bytes of BIP-39, without a passphrase.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    fn new(entropy: Vec<u8>) -> Self {
        let bytes = mnemonic(&entropy).to_seed_normalized("");
        Self { entropy, bytes }
    }
}

/// The words of 16 or 32 bytes.
fn mnemonic(entropy: &[u8]) -> Mnemonic {
    Mnemonic::from_entropy_in(Language::English, entropy)
        .expect("a seed has 16 or 32 bytes, both of which BIP-39 takes")
}

impl FromStr for Seed {
    type Err = SeedError;

    /// Takes words in any case and with any white space between them.
    fn from_str(text: &str) -> Result<Self, SeedError> {
        let words = Zeroizing::new(
            text.split_whitespace()
                .map(str::to_lowercase)
                .collect::<Vec<_>>()
                .join(" "),
        );
        let count = words.split_whitespace().count();
        if count != 12 && count != 24 {
            return Err(SeedError::WordCount { actual: count });
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &words).map_err(
            |error| match error {
                bip39::Error::UnknownWord(index) => SeedError::UnknownWord { place: index + 1 },
                _ => SeedError::Checksum,
            },
        )?;
        let (mut entropy, length) = mnemonic.to_entropy_array();
        let seed = Self::from_entropy(&entropy[..length]);
        entropy.zeroize();
        seed
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    /// The first vector of BIP-39, without its passphrase.
    const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    #[test]
    fn gives_the_seed_of_bip_39() {
        let seed: Seed = ABANDON.parse().unwrap();
        assert_eq!(seed.entropy(), [0; 16]);
        assert_eq!(
            hex::encode(seed.bytes()),
            "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1\
             9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4"
        );
    }

    #[test]
    fn words_of_a_new_seed_give_the_same_seed_back() {
        for (length, words) in [(SeedLength::Words12, 12), (SeedLength::Words24, 24)] {
            let seed = Seed::generate(length, &SystemEntropy::default());
            assert_eq!(seed.words().split(' ').count(), words);
            let again: Seed = seed.words().to_uppercase().parse().unwrap();
            assert_eq!(again.entropy(), seed.entropy());
        }
    }

    #[test]
    fn says_what_is_wrong_with_words_without_repeating_them() {
        assert_eq!(
            "abandon".parse::<Seed>().unwrap_err(),
            SeedError::WordCount { actual: 1 }
        );
        let unknown = ABANDON.replacen("about", "satpost", 1);
        assert_eq!(
            unknown.parse::<Seed>().unwrap_err(),
            SeedError::UnknownWord { place: 12 }
        );
        let swapped = ABANDON.replacen("about", "abandon", 1);
        assert_eq!(swapped.parse::<Seed>().unwrap_err(), SeedError::Checksum);
    }

    #[test]
    fn never_prints_itself() {
        let seed: Seed = ABANDON.parse().unwrap();
        assert_eq!(format!("{seed:?}"), "Seed(..)");
    }
}
