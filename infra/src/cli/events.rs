//! `satpostd events`: lists what happened, filtered by stream, type and position.

use std::io::Write;

use satpost_commands::ports::LogError;
use satpost_domain::Position;
use serde_json::json;

use super::block_on;
use super::log_arguments::LogArguments;
use crate::stored_event;
use satpost_event_store::RecordedEvent;

/// How many events are read at once.
const PAGE: usize = 1_024;

/// What to list.
#[derive(Debug, clap::Args)]
pub(super) struct EventsArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Only events of this stream, or of every stream that begins so (`mailbox-`).
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Only events of this type, like `MessageAccepted`; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<String>,
    /// Only events after this position.
    #[arg(long, value_name = "POSITION", default_value = "0")]
    after: Position,
    /// Only events up to this position.
    #[arg(long, value_name = "POSITION")]
    to: Option<Position>,
    /// At most so many events.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Write one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl EventsArguments {
    fn wants(&self, event: &RecordedEvent) -> bool {
        let stream = self
            .stream
            .as_ref()
            .is_none_or(|prefix| event.stream.as_str().starts_with(prefix));
        let kind = self.kinds.is_empty() || self.kinds.contains(&event.kind);
        stream && kind
    }

    fn is_past_the_end(&self, event: &RecordedEvent) -> bool {
        self.to.is_some_and(|to| event.position > to)
    }
}

pub(super) fn run(arguments: &EventsArguments) -> anyhow::Result<()> {
    let log = arguments.log.open_to_read()?;
    let read = |after| block_on(log.read_all(after, PAGE));
    list(arguments, read, &mut std::io::stdout().lock())
}

fn list(
    arguments: &EventsArguments,
    read: impl Fn(Position) -> anyhow::Result<Result<Vec<RecordedEvent>, LogError>>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut after = arguments.after;
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    loop {
        let page = read(after)??;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.position;
        for event in &page {
            if left == 0 || arguments.is_past_the_end(event) {
                return Ok(());
            }
            if arguments.wants(event) {
                tell(arguments, event, out)?;
                left -= 1;
            }
        }
    }
}

fn tell(
    arguments: &EventsArguments,
    event: &RecordedEvent,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let content = stored_event::to_json(&event.kind, event.schema, &event.body)?;
    let metadata = stored_event::decode_metadata(&event.metadata)?;
    if arguments.json {
        let line = json!({
            "position": event.position.to_string(),
            "stream": event.stream.as_str(),
            "revision": event.revision.0,
            "id": event.id,
            "type": event.kind,
            "schema": event.schema,
            "recorded_at": metadata.recorded_at,
            "command_id": metadata.command_id,
            "event": content,
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "{:>8}  {}  {}@{}  {} {}",
            event.position, metadata.recorded_at, event.stream, event.revision, event.kind, content
        )?;
    }
    Ok(())
}
