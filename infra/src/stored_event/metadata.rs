//! The stored form of what surrounds an event. The first byte is the version of the rest.

use satpost_domain::{CommandId, Metadata, RequestDigest, Timestamp};
use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::form::{Flaw, from_bytes, to_bytes};

/// The version that is written.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct MetadataV1 {
    version: u8,
    command_id: CommandId,
    request_digest: RequestDigest,
    recorded_at: Timestamp,
}

/// The stored form of metadata.
#[must_use]
pub fn encode_metadata(metadata: &Metadata) -> Vec<u8> {
    to_bytes(&MetadataV1 {
        version: VERSION,
        command_id: metadata.command_id,
        request_digest: metadata.request_digest,
        recorded_at: metadata.recorded_at,
    })
}

/// The metadata behind its stored form.
///
/// # Errors
/// [`DecodeError::MalformedMetadata`].
pub fn decode_metadata(bytes: &[u8]) -> Result<Metadata, DecodeError> {
    load(bytes).map_err(|flaw| DecodeError::MalformedMetadata {
        reason: flaw.reason,
    })
}

fn load(bytes: &[u8]) -> Result<Metadata, Flaw> {
    match bytes.first() {
        Some(&VERSION) => {
            let stored: MetadataV1 = from_bytes(bytes)?;
            Ok(Metadata {
                command_id: stored.command_id,
                request_digest: stored.request_digest,
                recorded_at: stored.recorded_at,
            })
        }
        Some(version) => Err(Flaw::new(format!(
            "it has version {version}, this server knows up to {VERSION}"
        ))),
        None => Err(Flaw::new("it is empty")),
    }
}
