//! The readable form: one JSON object a line. An event shows what it means beside its exact bytes;
//! only the bytes are read back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satpost_domain::ids::Digest;
use satpost_domain::{EventId, PayloadId, Position, Revision, StreamId};
use satpost_event_store::{LogIdentity, RecordedEvent};
use serde::Deserialize;
use serde_json::{Value, json};

use super::head::LogHead;
use super::record::{End, ExportedEvent, Header, PayloadContent, Record, VERSION};
use crate::stored_event;

/// What the first line calls the form.
const FORM: &str = "satpost-log";

#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Line {
    Header {
        form: String,
        version: u16,
        log: String,
        events_before: u64,
        head_before: Digest,
        with_payloads: bool,
    },
    Event(EventLine),
    End {
        events: u64,
        head: Digest,
        file: Digest,
    },
}

#[derive(Deserialize)]
struct EventLine {
    position: String,
    stream: String,
    revision: u64,
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
    schema: u16,
    body: String,
    metadata: String,
    payload: Option<PayloadLine>,
}

#[derive(Deserialize)]
struct PayloadLine {
    id: PayloadId,
    #[serde(flatten)]
    content: ContentLine,
}

#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum ContentLine {
    LeftOut,
    Erased,
    Present { bytes: String },
}

/// The version that a first line names, if it is one of this form.
pub(super) fn version(line: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(line).ok()?;
    (value.get("form")? == FORM).then(|| value.get("version")?.as_u64())?
}

/// Writes one line behind `out`.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let line = match record {
        Record::Header(header) => json!({
            "record": "header",
            "form": FORM,
            "version": VERSION,
            "log": header.log.to_string(),
            "events_before": header.before.events,
            "head_before": header.before.digest,
            "with_payloads": header.with_payloads,
        }),
        Record::Event(event) => event_line(event),
        Record::End(end) => json!({
            "record": "end",
            "events": end.head.events,
            "head": end.head.digest,
            "file": end.file,
        }),
    };
    serde_json::to_writer(&mut *out, &line).expect("memory takes JSON values");
    out.push(b'\n');
}

fn event_line(event: &ExportedEvent) -> Value {
    let recorded = &event.recorded;
    // What a newer server has written is exported all the same, without its meaning.
    let meaning = stored_event::to_json(&recorded.kind, recorded.schema, &recorded.body).ok();
    let origin = stored_event::decode_metadata(&recorded.metadata).ok();
    let payload = recorded.payload.zip(event.payload.as_ref());
    json!({
        "record": "event",
        "position": recorded.position.to_string(),
        "stream": recorded.stream.as_str(),
        "revision": recorded.revision.0,
        "id": recorded.id,
        "type": recorded.kind,
        "schema": recorded.schema,
        "event": meaning,
        "recorded_at": origin.map(|origin| origin.recorded_at),
        "command_id": origin.map(|origin| origin.command_id),
        "body": STANDARD.encode(&recorded.body),
        "metadata": STANDARD.encode(&recorded.metadata),
        "payload": payload.map(|(id, content)| payload_line(id, content)),
    })
}

fn payload_line(id: PayloadId, content: &PayloadContent) -> Value {
    match content {
        PayloadContent::LeftOut => json!({ "id": id, "state": "left_out" }),
        PayloadContent::Erased => json!({ "id": id, "state": "erased" }),
        PayloadContent::Present(bytes) => {
            json!({ "id": id, "state": "present", "bytes": STANDARD.encode(bytes) })
        }
    }
}

/// The record of a line, with or without its line break.
pub(super) fn decode(line: &[u8]) -> Result<Record, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(match line {
        Line::Header {
            form,
            version,
            log,
            events_before,
            head_before,
            with_payloads,
        } => {
            if form != FORM || version != VERSION {
                return Err(format!("a header is of form {form} and version {version}"));
            }
            let log = satpost_domain::ids::parse_hex(&log).map_err(|error| error.to_string())?;
            Record::Header(Header {
                log: LogIdentity(log),
                before: LogHead {
                    events: events_before,
                    digest: head_before,
                },
                with_payloads,
            })
        }
        Line::Event(event) => Record::Event(Box::new(event.open()?)),
        Line::End { events, head, file } => Record::End(End {
            head: LogHead {
                events,
                digest: head,
            },
            file,
        }),
    })
}

impl EventLine {
    fn open(self) -> Result<ExportedEvent, String> {
        let id = self.payload.as_ref().map(|payload| payload.id);
        let content = match self.payload.map(|payload| payload.content) {
            None => None,
            Some(ContentLine::LeftOut) => Some(PayloadContent::LeftOut),
            Some(ContentLine::Erased) => Some(PayloadContent::Erased),
            Some(ContentLine::Present { bytes }) => Some(PayloadContent::Present(open(&bytes)?)),
        };
        let stream = self.stream.parse::<StreamId>();
        let position = self.position.parse::<Position>();
        Ok(ExportedEvent {
            recorded: RecordedEvent {
                stream: stream.map_err(|error| error.to_string())?,
                revision: Revision(self.revision),
                position: position.map_err(|error| error.to_string())?,
                id: self.id,
                kind: self.kind,
                schema: self.schema,
                body: open(&self.body)?,
                metadata: open(&self.metadata)?,
                payload: id,
            },
            payload: content,
        })
    }
}

fn open(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| error.to_string())
}
