//! What a recipient says became of messages, whichever way it says it.

use satpost_api_types::messages::{AcknowledgeMessagesRequest, ParkedMessage};
use satpost_commands::acknowledge_messages::{Acknowledgement, acknowledge_messages};
use satpost_commands::park_messages::park_messages;
use satpost_commands::{CommandContext, Handler};
use satpost_domain::mailbox::ParkReason;
use satpost_domain::{MessageId, MessagingKey, Position};

use crate::problem::ApiError;

/// It is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// How many bodies were forgotten.
    pub(crate) deleted: u64,
    /// Where queries see it.
    pub(crate) position: Position,
}

/// Stored, set aside, or done with: carries out what is asked for.
pub(crate) async fn settle(
    handler: &Handler,
    context: CommandContext,
    mailbox: MessagingKey,
    request: AcknowledgeMessagesRequest,
) -> Result<Settled, ApiError> {
    let acknowledgement = match request {
        AcknowledgeMessagesRequest::Park(body) => {
            let messages = body.park.iter().map(parked).collect::<Result<_, _>>()?;
            let position = park_messages(handler, context, mailbox, messages).await?;
            return Ok(Settled {
                deleted: 0,
                position,
            });
        }
        AcknowledgeMessagesRequest::Through(body) => Acknowledgement::Through {
            seq: body.through,
            chain: body.chain.parse().map_err(ApiError::malformed)?,
        },
        AcknowledgeMessagesRequest::Parked(body) => {
            let ids = body.parked.iter().map(|id| message_id(id));
            Acknowledgement::Parked(ids.collect::<Result<_, _>>()?)
        }
    };
    let done = acknowledge_messages(handler, context, mailbox, acknowledgement).await?;
    Ok(Settled {
        deleted: done.deleted,
        position: done.position,
    })
}

fn message_id(text: &str) -> Result<MessageId, ApiError> {
    text.parse()
        .map_err(|error| ApiError::malformed(format_args!("a message id has {error}")))
}

fn parked(message: &ParkedMessage) -> Result<(MessageId, ParkReason), ApiError> {
    let reason = match message.reason.as_str() {
        "decrypt" => ParkReason::Decrypt,
        "format" => ParkReason::Format,
        "other" => ParkReason::Other,
        _ => return Err(ApiError::malformed("a reason is decrypt, format or other")),
    };
    Ok((message_id(&message.id)?, reason))
}
