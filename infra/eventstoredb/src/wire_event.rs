//! Our events in the words of EventStoreDB, the same for the adapter and the facade: the type is the
//! kind, the data is the body, and everything else is JSON in the custom metadata.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satpost_domain::{PayloadId, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The content type of our events.
pub const CONTENT_TYPE: &str = "application/octet-stream";

/// What the custom metadata of one of our events says:
/// `{"schema":1,"payload":"<32 hex>","erases":["<32 hex>"],"metadata":"<base64>"}`, where `payload`
/// and `erases` are left out when there is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomMetadata {
    /// The version of the body.
    pub schema: u16,
    /// The payload that was stored with the event.
    pub payload: Option<PayloadId>,
    /// The payloads that were erased with it.
    pub erases: Vec<PayloadId>,
    /// Where the event came from, encoded.
    pub metadata: Vec<u8>,
}

/// The custom metadata is not that of one of our events.
#[derive(Debug, thiserror::Error)]
#[error("the custom metadata is not that of a Satpost event: {reason}")]
pub struct DecodeCustomMetadataError {
    /// What is wrong.
    pub reason: String,
}

/// The JSON form. A reader ignores what it does not know; `event` is for people and never read.
#[derive(Serialize, Deserialize)]
struct Form {
    schema: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<PayloadId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    erases: Vec<PayloadId>,
    metadata: String,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
}

impl CustomMetadata {
    /// The one way to write it down.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(None)
    }

    /// Writes it down together with what happened, for people who browse the log.
    #[must_use]
    pub fn encode_with(&self, event: Option<Value>) -> Vec<u8> {
        let form = Form {
            schema: self.schema,
            payload: self.payload,
            erases: self.erases.clone(),
            metadata: STANDARD.encode(&self.metadata),
            event,
        };
        serde_json::to_vec(&form).expect("a form of strings and numbers always has a JSON form")
    }

    /// Reads what [`Self::encode`] or [`Self::encode_with`] wrote.
    ///
    /// # Errors
    /// [`DecodeCustomMetadataError`] when it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeCustomMetadataError> {
        let form: Form =
            serde_json::from_slice(bytes).map_err(|error| DecodeCustomMetadataError {
                reason: error.to_string(),
            })?;
        let metadata =
            STANDARD
                .decode(&form.metadata)
                .map_err(|error| DecodeCustomMetadataError {
                    reason: format!("its metadata is not base64: {error}"),
                })?;
        Ok(Self {
            schema: form.schema,
            payload: form.payload,
            erases: form.erases,
            metadata,
        })
    }
}

/// A position as (commit, prepare). Clients compare both numbers, so a position of an engine that
/// uses only the first part has it twice.
#[must_use]
pub const fn position_to_wire(position: Position) -> (u64, u64) {
    match position.minor() {
        0 => (position.major(), position.major()),
        minor => (position.major(), minor),
    }
}

/// The position behind (commit, prepare).
#[must_use]
pub const fn position_from_wire(commit: u64, prepare: u64) -> Position {
    if prepare == commit {
        Position::new(commit, 0)
    } else {
        Position::new(commit, prepare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> CustomMetadata {
        CustomMetadata {
            schema: 7,
            payload: Some(PayloadId::new([0xab; 16])),
            erases: vec![PayloadId::new([1; 16]), PayloadId::new([2; 16])],
            metadata: vec![0, 255, 10],
        }
    }

    #[test]
    fn custom_metadata_has_the_documented_form() {
        let text = String::from_utf8(full().encode()).unwrap();
        assert_eq!(
            text,
            r#"{"schema":7,"payload":"abababababababababababababababab","erases":["01010101010101010101010101010101","02020202020202020202020202020202"],"metadata":"AP8K"}"#
        );
        assert_eq!(CustomMetadata::decode(text.as_bytes()).unwrap(), full());
    }

    #[test]
    fn what_there_is_nothing_to_say_about_is_left_out() {
        let bare = CustomMetadata {
            schema: 1,
            payload: None,
            erases: Vec::new(),
            metadata: Vec::new(),
        };
        assert_eq!(bare.encode(), br#"{"schema":1,"metadata":""}"#);
        assert_eq!(CustomMetadata::decode(&bare.encode()).unwrap(), bare);
    }

    #[test]
    fn what_is_there_for_people_changes_nothing_for_a_reader() {
        let shown = full().encode_with(Some(serde_json::json!({"opened": true})));
        assert!(String::from_utf8_lossy(&shown).contains(r#""event":{"opened":true}"#));
        assert_eq!(CustomMetadata::decode(&shown).unwrap(), full());
    }

    #[test]
    fn refuses_what_others_wrote() {
        for foreign in [
            &b""[..],
            b"{}",
            b"[1]",
            br#"{"schema":1}"#,
            br#"{"schema":70000,"metadata":""}"#,
            br#"{"schema":1,"metadata":"%"}"#,
            br#"{"schema":1,"metadata":"","payload":"ab"}"#,
            &[0xff, 0xfe],
        ] {
            assert!(CustomMetadata::decode(foreign).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn positions_come_back_as_they_went() {
        for position in [
            Position::START,
            Position::new(1, 0),
            Position::new(9, 4),
            Position::new(u64::MAX - 1, 0),
        ] {
            let (commit, prepare) = position_to_wire(position);
            assert_eq!(position_from_wire(commit, prepare), position);
        }
        assert_eq!(position_to_wire(Position::new(5, 0)), (5, 5));
    }
}
