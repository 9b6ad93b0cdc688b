//! The sealed body of a message, which each form of an answer writes in its own way.

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Sealed bytes: base64 (RFC 4648, section 4, with padding) where people can read along, a byte
/// string elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageBody(Vec<u8>);

impl From<Vec<u8>> for MessageBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<MessageBody> for Vec<u8> {
    fn from(body: MessageBody) -> Self {
        body.0
    }
}

impl Deref for MessageBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Shows the size only.
impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageBody({} bytes)", self.0.len())
    }
}

impl Serialize for MessageBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for MessageBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            // A value that waits in memory for its enum to be known calls itself readable, whatever
            // it was read from; so bytes are taken here as well. Readable text has none.
            deserializer.deserialize_any(Bytes)
        } else {
            deserializer.deserialize_byte_buf(Bytes)
        }
    }
}

/// Takes base64 or bytes.
struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = MessageBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message body, in base64 or as bytes")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MessageBody, E> {
        STANDARD
            .decode(text)
            .map(MessageBody)
            .map_err(|_| E::custom("a message body is base64 with padding"))
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<MessageBody, E> {
        Ok(MessageBody(bytes.to_vec()))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<MessageBody, E> {
        Ok(MessageBody(bytes))
    }
}
