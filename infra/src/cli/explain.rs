//! `satpostd explain`: everything that the log knows about one client.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use satpost_domain::ClientId;

use super::log_arguments::LogArguments;
use super::{EXIT_UNKNOWN_CLIENT, block_on};
use crate::event_log::StoredEventLog;

mod gather;
mod history;
mod moment;
mod story;
mod words;

/// Whom to explain.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It shows private things: which addresses the client watches, which transactions touch them and with how much, \
    when messages came and how many, and which push service wakes the phone. It never shows the body of a message, who sent one \
    (the log does not know), the push target itself, or a key that would open anything.\n\n\
    What was erased is said to be erased: an address that is no longer watched has left the log, and with it what tells which \
    transactions touched it.\n\n\
    Exit code 67: the log knows no such client. Works while the server runs."
)]
pub(super) struct ExplainArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Leave out the list of single events.
    #[arg(long)]
    summary: bool,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
    /// The client's id: 64 hexadecimal digits.
    #[arg(value_name = "CLIENT_ID")]
    client: String,
}

pub(super) fn run(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let client: ClientId = arguments
        .client
        .parse()
        .with_context(|| format!("{:?} is no client id", arguments.client))?;
    let log = StoredEventLog::new(arguments.log.open_to_read()?);
    let story = block_on(gather::gather(&log, client))??;
    let Some(mut story) = story else {
        super::tell_error(&anyhow::anyhow!("the log knows no client {client}"));
        return Ok(ExitCode::from(EXIT_UNKNOWN_CLIENT));
    };
    if arguments.summary {
        story.history.clear();
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer(&mut out, &story)?;
        writeln!(out)?;
    } else {
        words::tell(&story, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}
