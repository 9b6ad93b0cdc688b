//! The last commands of a stream, so that a repeat is recognised.
//!
//! They are folded from the metadata of the events, so they survive a restart and are the same on
//! every server.

use std::collections::VecDeque;

use satpost_domain::limits::COMMANDS_REMEMBERED_MAX;
use satpost_domain::{CommandId, Metadata, RequestDigest, Revision};

use super::CommandContext;

/// A command that changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecentCommand {
    command_id: CommandId,
    request_digest: RequestDigest,
    /// The revision of its first event.
    pub(super) first: Revision,
    /// How many events it appended.
    pub(super) count: u64,
}

/// What is known about a command id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recall {
    /// The same request was carried out.
    Same(RecentCommand),
    /// The id was used for another request.
    OtherRequest,
}

/// Oldest first; at most [`COMMANDS_REMEMBERED_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecentCommands(VecDeque<RecentCommand>);

impl RecentCommands {
    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes note of `count` events from `first` on that one command appended.
    pub(super) fn note(&mut self, metadata: &Metadata, first: Revision, count: u64) {
        if let Some(last) = self.0.back_mut()
            && last.command_id == metadata.command_id
            && last.first.0 + last.count == first.0
        {
            last.count += count;
            return;
        }
        if self.0.len() == COMMANDS_REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(RecentCommand {
            command_id: metadata.command_id,
            request_digest: metadata.request_digest,
            first,
            count,
        });
    }

    /// Looks a command up. A scan of 48 KiB at most, newest first: a repeat comes soon.
    pub(super) fn recall(&self, context: CommandContext) -> Option<Recall> {
        let mut commands = self.0.iter().rev();
        let command = commands.find(|command| command.command_id == context.command_id)?;
        Some(if command.request_digest == context.request_digest {
            Recall::Same(*command)
        } else {
            Recall::OtherRequest
        })
    }
}
