//! The form of one event in a batch frame: length, checksum, content. All numbers are
//! little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of what follows the checksum |
//! | 4 | CRC-32C of what follows |
//! | 16 | event id |
//! | 8 | revision |
//! | 2 | schema |
//! | 1, 1, 1 | length of the stream's name, length of the kind, 1 when there is a payload |
//! | 4 | length of the metadata |
//! | 0 or 16 | payload id |
//! | … | stream, kind, metadata, body |
//!
//! The position is not in it: it follows from the place in the log.

use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};

use crate::{NewStoredEvent, RecordedEvent};

/// Length and checksum.
pub(super) const PREFIX_BYTES: usize = 8;
const FIXED_BYTES: usize = 16 + 8 + 2 + 3 + 4;
const ID_BYTES: usize = 16;

/// A record as it lies in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) id: EventId,
    pub(super) revision: Revision,
    pub(super) payload: Option<PayloadId>,
    pub(super) stream: &'a str,
    schema: u16,
    pub(super) kind: &'a str,
    metadata: &'a [u8],
    body: &'a [u8],
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    #[error("a record ends too early")]
    TooShort,
    #[error("the checksum of a record is wrong")]
    Checksum,
    #[error("a record with a right checksum has no meaning")]
    Content,
}

/// How many bytes `event` has as a record.
pub(super) fn encoded_bytes(stream: &StreamId, event: &NewStoredEvent) -> usize {
    let payload = if event.payload.is_some() { ID_BYTES } else { 0 };
    let names = stream.as_str().len() + event.kind.len();
    PREFIX_BYTES + FIXED_BYTES + payload + names + event.metadata.len() + event.body.len()
}

/// Appends `event` to `out`. The bounds of the port hold: names have at most 255 bytes.
pub(super) fn encode(
    out: &mut Vec<u8>,
    stream: &StreamId,
    revision: Revision,
    event: &NewStoredEvent,
) {
    let start = out.len();
    let byte = |length: usize| u8::try_from(length).expect("names were checked to be short");
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.extend_from_slice(event.id.as_bytes());
    out.extend_from_slice(&revision.0.to_le_bytes());
    out.extend_from_slice(&event.schema.to_le_bytes());
    out.push(byte(stream.as_str().len()));
    out.push(byte(event.kind.len()));
    out.push(u8::from(event.payload.is_some()));
    let metadata = u32::try_from(event.metadata.len()).expect("metadata was checked to be short");
    out.extend_from_slice(&metadata.to_le_bytes());
    if let Some((id, _)) = &event.payload {
        out.extend_from_slice(id.as_bytes());
    }
    out.extend_from_slice(stream.as_str().as_bytes());
    out.extend_from_slice(event.kind.as_bytes());
    out.extend_from_slice(&event.metadata);
    out.extend_from_slice(&event.body);
    let content = start + PREFIX_BYTES;
    let length = u32::try_from(out.len() - content).expect("events were checked to be small");
    let checksum = crc32c::crc32c(&out[content..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..content].copy_from_slice(&checksum.to_le_bytes());
}

/// How many bytes the record at the start of `bytes` has, prefix included.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?);
    usize::try_from(length).ok()?.checked_add(PREFIX_BYTES)
}

impl<'a> Record<'a> {
    /// Decodes the record at the start of `bytes`; gives what follows it, too.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RecordError> {
        let length = length(bytes).ok_or(RecordError::TooShort)?;
        let (record, rest) = bytes
            .split_at_checked(length)
            .ok_or(RecordError::TooShort)?;
        let content = &record[PREFIX_BYTES..];
        if record[4..PREFIX_BYTES] != crc32c::crc32c(content).to_le_bytes() {
            return Err(RecordError::Checksum);
        }
        let record = Self::decode_content(content).ok_or(RecordError::Content)?;
        Ok((record, rest))
    }

    fn decode_content(content: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = content.split_at_checked(FIXED_BYTES)?;
        let payload_bytes = match fixed[28] {
            0 => 0,
            1 => ID_BYTES,
            _ => return None,
        };
        let metadata_bytes = u32::from_le_bytes(fixed[29..33].try_into().ok()?) as usize;
        let (payload, rest) = rest.split_at_checked(payload_bytes)?;
        let (stream, rest) = rest.split_at_checked(fixed[26].into())?;
        let (kind, rest) = rest.split_at_checked(fixed[27].into())?;
        let (metadata, body) = rest.split_at_checked(metadata_bytes)?;
        Some(Self {
            id: EventId::new(fixed[..16].try_into().ok()?),
            revision: Revision(u64::from_le_bytes(fixed[16..24].try_into().ok()?)),
            schema: u16::from_le_bytes(fixed[24..26].try_into().ok()?),
            payload: payload.try_into().ok().map(PayloadId::new),
            stream: std::str::from_utf8(stream).ok()?,
            kind: std::str::from_utf8(kind).ok()?,
            metadata,
            body,
        })
    }

    /// How many bytes it has, prefix included.
    pub(super) fn bytes(&self) -> usize {
        let payload = self.payload.map_or(0, |_| ID_BYTES);
        let names = self.stream.len() + self.kind.len();
        PREFIX_BYTES + FIXED_BYTES + payload + names + self.metadata.len() + self.body.len()
    }

    /// The event at `position`.
    pub(super) fn to_event(self, position: Position) -> Result<RecordedEvent, RecordError> {
        Ok(RecordedEvent {
            stream: self.stream.parse().map_err(|_| RecordError::Content)?,
            revision: self.revision,
            position,
            id: self.id,
            kind: self.kind.to_owned(),
            schema: self.schema,
            body: self.body.to_vec(),
            metadata: self.metadata.to_vec(),
            payload: self.payload,
        })
    }
}
