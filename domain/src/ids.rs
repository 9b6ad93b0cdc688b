//! Fixed-size identifiers. They are the only domain values with serde: their form never changes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not the hexadecimal form of an identifier of the expected size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal characters, got {actual} characters")]
pub struct ParseIdError {
    /// How many hexadecimal characters the identifier has.
    pub expected: usize,
    /// How many characters were given.
    pub actual: usize,
}

/// Decodes exactly `N` bytes of lower- or upper-case hexadecimal text.
///
/// # Errors
/// [`ParseIdError`] when the length or a character is wrong.
pub fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let mut bytes = [0_u8; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError {
        expected: N * 2,
        actual: text.chars().count(),
    })?;
    Ok(bytes)
}

/// Declares an identifier of `$size` bytes: hexadecimal for people and JSON, raw bytes otherwise.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $size]);

        impl $name {
            /// Takes the raw bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $size]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

identifier!(
    /// Names one command, chosen by the caller (its `Idempotency-Key`); a repeat gives the first answer.
    CommandId, 16
);
identifier!(
    /// The first 16 bytes of SHA-256 over what a command asked for, so that a repeated id with
    /// another content is noticed.
    RequestDigest, 16
);
identifier!(
    /// Names one event. Computed from the command, who decided it and when, and the place in it; or
    /// from the content alone. An append that is repeated has the same ids.
    EventId, 16
);
identifier!(
    /// Names one message. Drawn at random: it tells a sender neither order nor depth of the queue.
    MessageId, 16
);
identifier!(
    /// Names one entry of a watch list without naming its address.
    WatchId, 16
);
identifier!(
    /// Names one registration of a push target without naming the target.
    PushTargetId, 16
);
identifier!(
    /// Names an erasable payload that lies beside the log: the id of what it belongs to.
    PayloadId, 16
);
identifier!(
    /// A SHA-256 digest.
    Digest, 32
);
identifier!(
    /// One link of a mailbox's hash chain, see [`crate::mailbox`].
    ChainHash, 32
);
identifier!(
    /// What a mailbox knows of a delivery token: its tagged hash, see [`crate::mailbox::token_hash`].
    TokenHash, 32
);
identifier!(
    /// A transaction id in display order (the order of block explorers and of RPC).
    Txid, 32
);
identifier!(
    /// A block hash in display order.
    BlockHash, 32
);
identifier!(
    /// SHA-256 of an output script, as Electrum and Esplora know it (not reversed).
    ScriptHash, 32
);

impl WatchId {
    /// How many bytes the entries of one request have in common.
    pub const COMMON_BYTES: usize = 12;

    /// The id at `place` of a request that drew this id: the first [`Self::COMMON_BYTES`] bytes stay, the
    /// others are the place in big endian. A long list needs little memory for ids that count.
    #[must_use]
    pub fn at_place(self, place: u32) -> Self {
        let mut bytes = self.0;
        bytes[Self::COMMON_BYTES..].copy_from_slice(&place.to_be_bytes());
        Self(bytes)
    }

    /// What [`Self::at_place`] made it of: the common bytes and the place.
    #[must_use]
    pub fn parts(self) -> ([u8; Self::COMMON_BYTES], u32) {
        let (common, place) = self.0.split_at(Self::COMMON_BYTES);
        let common = common.try_into().expect("16 bytes were cut after 12");
        let place = place.try_into().expect("16 bytes were cut after 12");
        (common, u32::from_be_bytes(place))
    }
}

impl From<MessageId> for PayloadId {
    fn from(id: MessageId) -> Self {
        Self(id.0)
    }
}

impl From<WatchId> for PayloadId {
    fn from(id: WatchId) -> Self {
        Self(id.0)
    }
}

impl From<PushTargetId> for PayloadId {
    fn from(id: PushTargetId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_the_same_text() {
        let id = CommandId::new([0xab; 16]);
        assert_eq!(id.to_string(), "ab".repeat(16));
        assert_eq!(id.to_string().parse::<CommandId>(), Ok(id));
    }

    #[test]
    fn the_ids_of_a_request_count_behind_common_bytes() {
        let drawn = WatchId::new([0xab; 16]);
        assert_eq!(
            drawn.at_place(258).to_string(),
            format!("{}00000102", "ab".repeat(12))
        );
        assert_eq!(drawn.at_place(258).parts(), ([0xab; 12], 258));
    }

    #[test]
    fn refuses_text_of_another_length_or_alphabet() {
        assert_eq!(
            "abcd".parse::<CommandId>(),
            Err(ParseIdError {
                expected: 32,
                actual: 4
            })
        );
        assert!("zz".repeat(16).parse::<CommandId>().is_err());
    }
}
