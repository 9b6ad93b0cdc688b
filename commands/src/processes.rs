//! Process managers: events in, commands out. Each may see an event twice, and may be run again
//! from any point: its commands have ids that come from their cause.

pub mod expiry;
pub mod forwarding;
pub mod retirement;

use satpost_domain::hash::tagged_16;
use satpost_domain::{CommandId, RequestDigest};

use crate::handler::CommandContext;

/// The context of a command that follows from something that has happened. `cause` tells it from
/// every other command of the same process on the same stream; its parts have fixed sizes.
fn follow_up(process: &str, cause: &[&[u8]]) -> CommandContext {
    let command_id = tagged_16(&format!("satpost/process/{process}/1"), cause);
    // The id alone says what is asked for, so the digest adds nothing to it.
    CommandContext {
        command_id: CommandId::new(command_id),
        request_digest: RequestDigest::new(command_id),
    }
}
