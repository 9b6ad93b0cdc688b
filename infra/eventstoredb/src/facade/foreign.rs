//! How events of other clients lie in the store: with schema 0, and their custom metadata and
//! content type inside our metadata, so that they are given back byte for byte.

use satpost_domain::Timestamp;

/// The schema of an event that is not ours.
pub(super) const SCHEMA: u16 = 0;
/// How the metadata of such an event begins. None of ours does.
const MARK: &[u8] = b"\0foreign\x01";

/// What surrounds the data of a foreign event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ForeignMetadata<'a> {
    /// When it came; the epoch when there was no clock.
    pub(super) recorded_at: Timestamp,
    /// What its writer called the data.
    pub(super) content_type: &'a str,
    /// What its writer put beside the data.
    pub(super) custom_metadata: &'a [u8],
}

impl<'a> ForeignMetadata<'a> {
    /// Mark, milliseconds (8 bytes, big endian), length of the content type (2 bytes, big endian),
    /// content type, custom metadata. Nothing when the content type is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let length = u16::try_from(self.content_type.len()).ok()?;
        let mut bytes = Vec::with_capacity(
            MARK.len() + 10 + self.content_type.len() + self.custom_metadata.len(),
        );
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&self.recorded_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(self.content_type.as_bytes());
        bytes.extend_from_slice(self.custom_metadata);
        Some(bytes)
    }

    /// Reads it again; nothing when the event is ours.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MARK)?;
        let (millis, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (content_type, custom_metadata) =
            rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        Some(Self {
            recorded_at: Timestamp::from_millis(u64::from_be_bytes(*millis)),
            content_type: std::str::from_utf8(content_type).ok()?,
            custom_metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_went() {
        for custom_metadata in [&b""[..], b"{\"a\": 1 }", &[0, 255, 0]] {
            let foreign = ForeignMetadata {
                recorded_at: Timestamp::from_millis(1_700_000_000_123),
                content_type: "application/json",
                custom_metadata,
            };
            let bytes = foreign.encode().unwrap();
            assert_eq!(ForeignMetadata::decode(&bytes), Some(foreign));
        }
    }

    #[test]
    fn what_is_cut_short_is_not_foreign() {
        let foreign = ForeignMetadata {
            recorded_at: Timestamp::default(),
            content_type: "text/plain",
            custom_metadata: b"",
        };
        let bytes = foreign.encode().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(ForeignMetadata::decode(&bytes[..length]), None, "{length}");
        }
    }
}
