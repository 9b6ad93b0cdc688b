//! Signed checkpoints of the event log: the server's word that the log, through a position, hashes
//! to a value. Kept beside the log and, by auditors, elsewhere: whoever rewrites the log, even with
//! all hashes made anew, cannot make it agree with them.
//!
//! A checkpoint is one line of JSON in `<data>/checkpoints.jsonl`. What is signed is
//! `"satpost/log-checkpoint/1\0" ‖ log (16) ‖ position (8) ‖ chain (32) ‖ signed_at (8)`, numbers
//! big endian, the time in milliseconds since the Unix epoch.

use std::fs;
use std::io;
use std::path::Path;

use satpost_domain::{ClientId, Position, Timestamp};
use satpost_event_store::LogIdentity;
use serde::{Deserialize, Serialize};

use crate::server_keys::ServerKeys;

pub mod keeper;
#[cfg(test)]
mod tests;

/// The name of the file in the data folder.
pub const FILE: &str = "checkpoints.jsonl";
/// What every signed message starts with, so that no other signature of the key is one of these.
const PREFIX: &[u8] = b"satpost/log-checkpoint/1\0";

/// A statement about a log, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// Which log.
    pub log: LogIdentity,
    /// Through which event.
    pub position: Position,
    /// What stands for everything through it.
    pub chain: [u8; 32],
    /// When it was signed, by the clock of the server.
    pub signed_at: Timestamp,
    /// The public key that it names; whose key that is must be known from elsewhere.
    pub key: [u8; 32],
    /// Ed25519 (RFC 8032).
    pub signature: [u8; 64],
}

/// Why a line is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is not the JSON of one.
    #[error("this is no checkpoint: {0}")]
    Json(#[from] serde_json::Error),
    /// A field does not hold what it should.
    #[error("{field} of a checkpoint cannot be read")]
    Field {
        /// Its name.
        field: &'static str,
    },
}

/// The form on disk: numbers that JSON readers would round, and bytes, are text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    log: String,
    position: String,
    chain: String,
    signed_at: Timestamp,
    key: String,
    signature: String,
}

impl LogCheckpoint {
    /// Signs that `log`, through `position`, hashes to `chain`.
    #[must_use]
    pub fn sign(
        keys: &ServerKeys,
        log: LogIdentity,
        position: Position,
        chain: [u8; 32],
        now: Timestamp,
    ) -> Self {
        Self {
            log,
            position,
            chain,
            signed_at: now,
            key: keys.public_key(),
            signature: keys.sign(&message(log, position, &chain, now)),
        }
    }

    /// Whether the key that the checkpoint names has signed it.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let message = message(self.log, self.position, &self.chain, self.signed_at);
        ClientId::new(self.key).is_ok_and(|key| key.verify(&message, &self.signature).is_ok())
    }

    /// The line that stands for it, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        self.to_json().to_string()
    }

    /// The same as a value.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let line = Line {
            log: self.log.to_string(),
            position: self.position.to_string(),
            chain: hex::encode(self.chain),
            signed_at: self.signed_at,
            key: hex::encode(self.key),
            signature: hex::encode(self.signature),
        };
        serde_json::to_value(line).expect("text and numbers have a form in JSON")
    }

    /// Reads a line. The signature is not looked at.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn from_line(line: &str) -> Result<Self, CheckpointError> {
        let line: Line = serde_json::from_str(line)?;
        let position = line.position.parse();
        Ok(Self {
            log: LogIdentity(bytes("log", &line.log)?),
            position: position.map_err(|_| CheckpointError::Field { field: "position" })?,
            chain: bytes("chain", &line.chain)?,
            signed_at: line.signed_at,
            key: bytes("key", &line.key)?,
            signature: bytes("signature", &line.signature)?,
        })
    }
}

fn message(log: LogIdentity, position: Position, chain: &[u8; 32], at: Timestamp) -> Vec<u8> {
    let mut message = PREFIX.to_vec();
    message.extend_from_slice(&log.0);
    message.extend_from_slice(&position.major().to_be_bytes());
    message.extend_from_slice(chain);
    message.extend_from_slice(&at.as_millis().to_be_bytes());
    message
}

fn bytes<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], CheckpointError> {
    satpost_domain::ids::parse_hex(text).map_err(|_| CheckpointError::Field { field })
}

/// A line of a file of checkpoints.
#[derive(Debug)]
pub struct CheckpointLine {
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// What it says, or why it says nothing.
    pub checkpoint: Result<LogCheckpoint, CheckpointError>,
}

/// Reads a file of checkpoints. A last line without an end is left out: its writing was cut off.
///
/// # Errors
/// When the file cannot be read.
pub fn read_file(path: &Path) -> io::Result<Vec<CheckpointLine>> {
    let text = fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len() as u64;
        let Some(content) = line.strip_suffix('\n') else {
            break;
        };
        lines.push(CheckpointLine {
            offset: start,
            checkpoint: LogCheckpoint::from_line(content),
        });
    }
    Ok(lines)
}
