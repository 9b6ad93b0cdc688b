//! What a recipient says became of messages, whichever way it says it.

use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, DeletionScope, ParkedMessage,
};
use satpost_commands::CommandContext;
use satpost_commands::acknowledge_messages::{Acknowledgement, acknowledge_messages};
use satpost_commands::park_messages::park_messages;
use satpost_domain::mailbox::ParkReason;
use satpost_domain::{MessageId, MessagingKey, Position};

use crate::problem::ApiError;
use crate::receipts;
use crate::state::ApiState;

/// It is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// What was forgotten, with the server's word on it.
    pub(crate) answer: AcknowledgeMessagesResponse,
    /// Where queries see it.
    pub(crate) position: Position,
}

/// Stored, set aside, or done with: carries out what is asked for.
pub(crate) async fn settle(
    state: &ApiState,
    context: CommandContext,
    mailbox: MessagingKey,
    request: AcknowledgeMessagesRequest,
) -> Result<Settled, ApiError> {
    let handler = &state.handler;
    let scope = DeletionScope::of(&request);
    let acknowledgement = match request {
        AcknowledgeMessagesRequest::Park(body) => {
            let messages = body.park.iter().map(parked).collect::<Result<_, _>>()?;
            let position = park_messages(handler, context, mailbox, messages).await?;
            let answer = AcknowledgeMessagesResponse::default();
            return Ok(Settled { answer, position });
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
    let ended = acknowledge_messages(handler, context, mailbox, acknowledgement).await?;
    let signer = state.receipt_signer.as_ref();
    Ok(Settled {
        answer: receipts::acknowledged(signer, &mailbox, scope.as_ref(), ended.deleted, ended.at),
        position: ended.position,
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
