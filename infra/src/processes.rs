//! Runs the process managers of `commands`: what follows from events, and what follows from time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use satpost_commands::Handler;
use satpost_commands::processes::expiry::expire_mailboxes;
use satpost_commands::processes::{forwarding, retirement};
use satpost_domain::{Envelope, Position};
use satpost_event_store::storage::{Disk, replace_file};
use satpost_projections::ReadModel;
use satpost_projections::source::{EventSource, Item};
use tokio_util::sync::CancellationToken;

/// How often expired messages are looked for. They are gone for their recipients at most this late.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(5);
/// How many mailboxes are looked at in one go.
const EXPIRY_PAGE: usize = 256;
/// How many steps of a process may be repeated after a crash.
const CHECKPOINT_STEPS: u64 = 1_024;
/// What the processes that follow clients look at.
const CLIENT_TYPES: [&str; 2] = ["ClientRetired", "MessagingKeyRotated"];
/// How long to wait before a failed step is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Lets go of messages whose time has run out, until `stop`.
pub async fn run_expiry(handler: Handler, read_model: Arc<ReadModel>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let mailboxes = read_model
            .mailbox_queue()
            .expired(handler.now(), EXPIRY_PAGE);
        match expire_mailboxes(&handler, mailboxes).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(messages.expired = count, "messages expired"),
            Err(error) => {
                tracing::warn!(%error, "expired messages could not be let go; trying again");
            }
        }
    }
}

/// Where a process manager has come to, in a file of its own. Losing it means seeing events again.
pub struct Checkpoint {
    path: PathBuf,
    position: Position,
}

impl Checkpoint {
    /// The checkpoint of the process `name` in `folder`; before the first event when there is none.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn load(folder: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{name}.checkpoint"));
        let position = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim_end().parse().ok())
            .unwrap_or(Position::START);
        Ok(Self { path, position })
    }

    fn save(&self) -> io::Result<()> {
        replace_file(&Disk, &self.path, format!("{}\n", self.position).as_bytes())
    }
}

/// Cleans up after retired clients and passes on what comes for former keys, until `stop`.
pub async fn run_client_processes(
    handler: Handler,
    source: Arc<dyn EventSource>,
    mut checkpoint: Checkpoint,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow_clients(&handler, source.as_ref(), &mut checkpoint) => {}
    }
    save(&checkpoint);
}

async fn follow_clients(handler: &Handler, source: &dyn EventSource, checkpoint: &mut Checkpoint) {
    loop {
        let mut items = source.follow_types(checkpoint.position, &CLIENT_TYPES);
        for step in 1_u64.. {
            match items.next().await {
                Some(Ok(Item::Event(envelope))) => {
                    take(handler, &envelope).await;
                    checkpoint.position = envelope.position;
                }
                Some(Ok(Item::CheckpointAt(position))) => checkpoint.position = position,
                Some(Ok(Item::CaughtUp)) => save(checkpoint),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the processes of clients cannot read the log; trying again");
                    break;
                }
                None => break,
            }
            if step.is_multiple_of(CHECKPOINT_STEPS) {
                save(checkpoint);
            }
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Tries until it is done: a retired client's belongings must not be forgotten about, nor must what
/// comes for a key that is not in use any more.
async fn take(handler: &Handler, envelope: &Envelope) {
    while let Err(error) = retirement::handle_event(handler, envelope).await {
        tracing::warn!(%error, "a retired client could not be cleaned up; trying again");
        tokio::time::sleep(RETRY_DELAY).await;
    }
    while let Err(error) = forwarding::handle_event(handler, envelope).await {
        tracing::warn!(%error, "a former mailbox could not be told to pass on messages; trying again");
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

fn save(checkpoint: &Checkpoint) {
    if let Err(error) = checkpoint.save() {
        tracing::warn!(%error, "a checkpoint could not be saved; its events will be seen again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored_event;

    #[test]
    fn follows_types_that_there_are() {
        for name in CLIENT_TYPES {
            assert!(stored_event::catalogue().contains(&format!("| {name} |")));
        }
    }

    #[test]
    fn a_checkpoint_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::load(folder.path(), "clients").unwrap();
        assert_eq!(checkpoint.position, Position::START);
        checkpoint.position = Position::new(7, 0);
        checkpoint.save().unwrap();
        let again = Checkpoint::load(folder.path(), "clients").unwrap();
        assert_eq!(again.position, Position::new(7, 0));
    }
}
