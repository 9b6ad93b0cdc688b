//! Records what became of pushes: the outbox asks for this, nobody outside.

use satpost_domain::client::{Client, ClientCommand, ClientError, PushDeathReason};
use satpost_domain::hash::tagged_16;
use satpost_domain::{
    ClientId, CommandId, Position, PushTargetId, RequestDigest, StreamId, Timestamp,
};

use crate::error::CommandError;
use crate::handler::{CommandContext, Handler};

/// Records that the push service took a wake-up that covers the first `through` triggers.
///
/// # Errors
/// [`CommandError`].
pub async fn record_wake(
    handler: &Handler,
    client: ClientId,
    id: PushTargetId,
    through: u64,
) -> Result<Position, CommandError<ClientError>> {
    let at = handler.now();
    let command = ClientCommand::RecordWake { id, through, at };
    let context = computed_context("wake", client, id, through);
    record(handler, client, context, &command).await
}

/// Records that a push target is dead. Nothing happens when another one was set meanwhile, or when
/// what the push service said is older than the registration (`since`).
///
/// # Errors
/// [`CommandError`].
pub async fn mark_push_target_dead(
    handler: &Handler,
    client: ClientId,
    id: PushTargetId,
    reason: PushDeathReason,
    since: Option<Timestamp>,
) -> Result<Position, CommandError<ClientError>> {
    let at = handler.now();
    let command = ClientCommand::MarkPushTargetDead {
        id,
        reason,
        since,
        at,
    };
    let context = computed_context("dead", client, id, since.map_or(0, Timestamp::as_millis));
    record(handler, client, context, &command).await
}

async fn record(
    handler: &Handler,
    client: ClientId,
    context: CommandContext,
    command: &ClientCommand,
) -> Result<Position, CommandError<ClientError>> {
    let stream = StreamId::client(client);
    let outcome = handler
        .handle::<Client>(&stream, context, command, None)
        .await?;
    Ok(outcome.position)
}

/// The command id is computed from what is recorded, so recording it twice is once.
fn computed_context(what: &str, client: ClientId, id: PushTargetId, number: u64) -> CommandContext {
    let parts: [&[u8]; 4] = [
        what.as_bytes(),
        client.as_bytes(),
        id.as_bytes(),
        &number.to_be_bytes(),
    ];
    let digest = tagged_16("satpost/record-push/1", &parts);
    CommandContext {
        command_id: CommandId::new(digest),
        request_digest: RequestDigest::new(digest),
    }
}
