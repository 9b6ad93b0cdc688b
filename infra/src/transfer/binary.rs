//! The compact form.
//!
//! ```text
//! file   = "SATPLOG\n" ‖ version u16 ‖ record…
//! record = length u32 ‖ postcard bytes ‖ CRC32C u32 of length and bytes
//! ```
//! Integers are little endian.

use satpost_domain::ids::Digest;
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use satpost_event_store::{LogIdentity, RecordedEvent};
use serde::{Deserialize, Serialize};

use super::head::LogHead;
use super::record::{End, ExportedEvent, Header, PayloadContent, Record, VERSION};

/// What a file begins with; the line break tells a damaged transfer of text.
pub(super) const MAGIC: [u8; 8] = *b"SATPLOG\n";
/// Bytes before the first record.
pub(super) const PREAMBLE_BYTES: usize = MAGIC.len() + 2;

#[derive(Serialize, Deserialize)]
enum StoredRecord<'a> {
    Header {
        log: [u8; 16],
        events_before: u64,
        head_before: Digest,
        with_payloads: bool,
    },
    #[serde(borrow)]
    Event(StoredEvent<'a>),
    End {
        events: u64,
        head: Digest,
        file: Digest,
    },
}

#[derive(Serialize, Deserialize)]
struct StoredEvent<'a> {
    position: Position,
    stream: &'a str,
    revision: u64,
    id: EventId,
    kind: &'a str,
    schema: u16,
    body: &'a [u8],
    metadata: &'a [u8],
    #[serde(borrow)]
    payload: Option<(PayloadId, StoredContent<'a>)>,
}

#[derive(Serialize, Deserialize)]
enum StoredContent<'a> {
    LeftOut,
    Erased,
    Present(&'a [u8]),
}

/// What stands before the first record.
pub(super) fn preamble() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// Writes one record behind `out`.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let stored = StoredRecord::from(record);
    postcard::to_io(&stored, &mut *out)
        .expect("memory takes records whose parts have known lengths");
    let length = u32::try_from(out.len() - start - 4).expect("records are bounded");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The record behind its length, its bytes and its checksum.
pub(super) fn decode(length: [u8; 4], bytes: &[u8], crc: [u8; 4]) -> Result<Record, String> {
    let actual = crc32c::crc32c_append(crc32c::crc32c(&length), bytes);
    if actual != u32::from_le_bytes(crc) {
        return Err("the checksum of a record is wrong".to_owned());
    }
    let (stored, rest) =
        postcard::take_from_bytes::<StoredRecord<'_>>(bytes).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes of a record are left over", rest.len()));
    }
    stored.open()
}

impl<'a> From<&'a Record> for StoredRecord<'a> {
    fn from(record: &'a Record) -> Self {
        match record {
            Record::Header(header) => Self::Header {
                log: header.log.0,
                events_before: header.before.events,
                head_before: header.before.digest,
                with_payloads: header.with_payloads,
            },
            Record::End(end) => Self::End {
                events: end.head.events,
                head: end.head.digest,
                file: end.file,
            },
            Record::Event(event) => {
                let recorded = &event.recorded;
                let content = event.payload.as_ref().map(|content| match content {
                    PayloadContent::LeftOut => StoredContent::LeftOut,
                    PayloadContent::Erased => StoredContent::Erased,
                    PayloadContent::Present(bytes) => StoredContent::Present(bytes),
                });
                Self::Event(StoredEvent {
                    position: recorded.position,
                    stream: recorded.stream.as_str(),
                    revision: recorded.revision.0,
                    id: recorded.id,
                    kind: &recorded.kind,
                    schema: recorded.schema,
                    body: &recorded.body,
                    metadata: &recorded.metadata,
                    payload: recorded.payload.zip(content),
                })
            }
        }
    }
}

impl StoredRecord<'_> {
    fn open(self) -> Result<Record, String> {
        Ok(match self {
            Self::Header {
                log,
                events_before,
                head_before,
                with_payloads,
            } => Record::Header(Header {
                log: LogIdentity(log),
                before: LogHead {
                    events: events_before,
                    digest: head_before,
                },
                with_payloads,
            }),
            Self::End { events, head, file } => Record::End(End {
                head: LogHead {
                    events,
                    digest: head,
                },
                file,
            }),
            Self::Event(event) => Record::Event(Box::new(event.open()?)),
        })
    }
}

impl StoredEvent<'_> {
    fn open(self) -> Result<ExportedEvent, String> {
        let stream = self.stream.parse::<StreamId>();
        let stream = stream.map_err(|error| error.to_string())?;
        let payload = self.payload.as_ref().map(|(id, _)| *id);
        Ok(ExportedEvent {
            recorded: RecordedEvent {
                stream,
                revision: Revision(self.revision),
                position: self.position,
                id: self.id,
                kind: self.kind.to_owned(),
                schema: self.schema,
                body: self.body.to_vec(),
                metadata: self.metadata.to_vec(),
                payload,
            },
            payload: self.payload.map(|(_, content)| match content {
                StoredContent::LeftOut => PayloadContent::LeftOut,
                StoredContent::Erased => PayloadContent::Erased,
                StoredContent::Present(bytes) => PayloadContent::Present(bytes.to_vec()),
            }),
        })
    }
}
