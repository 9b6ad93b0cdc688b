//! What the server signs about messages: that it took one, which its sender can hold against a server
//! that knows nothing of it; and that it let some go, which their recipient can hold against one
//! that brings them back.

use satpost_api_types::messages::{
    AcknowledgeMessagesResponse, DeletionScope, SendMessageResponse, WipeQueueResponse,
    deletion_receipt_bytes, receipt_bytes,
};
use satpost_commands::send_message::AcceptedMessage;
use satpost_commands::wipe_queue::WipedQueue;
use satpost_domain::{MessagingKey, Timestamp};

use crate::ports::ReceiptSigner;

/// The answer to the sender of a message to `recipient` that is durable.
pub(crate) fn accepted(
    signer: &dyn ReceiptSigner,
    recipient: &MessagingKey,
    accepted: &AcceptedMessage,
) -> SendMessageResponse {
    let accepted_at = accepted.accepted_at.as_millis();
    let expires_at = accepted.expires_at.as_millis();
    let signed = receipt_bytes(
        recipient.as_bytes(),
        accepted.digest.as_bytes(),
        accepted_at,
        expires_at,
    );
    SendMessageResponse {
        id: accepted.id.to_string(),
        accepted_at,
        expires_at,
        receipt: hex::encode(signer.sign(&signed)),
    }
}

/// The answer to an acknowledgement of `scope` in `mailbox` that let go of `deleted` bodies. It has a
/// receipt when it is known what was let go and when.
pub(crate) fn acknowledged(
    signer: &dyn ReceiptSigner,
    mailbox: &MessagingKey,
    scope: Option<&DeletionScope>,
    deleted: u64,
    at: Option<Timestamp>,
) -> AcknowledgeMessagesResponse {
    let receipt = scope
        .zip(at)
        .map(|(scope, at)| of_deletion(signer, mailbox, scope, deleted, at));
    AcknowledgeMessagesResponse {
        deleted,
        at: at.filter(|_| receipt.is_some()).map(Timestamp::as_millis),
        receipt,
    }
}

/// The answer to a wipe of `mailbox`.
pub(crate) fn wiped(
    signer: &dyn ReceiptSigner,
    mailbox: &MessagingKey,
    wiped: &WipedQueue,
) -> WipeQueueResponse {
    let (deleted, at) = (wiped.deleted, wiped.at);
    WipeQueueResponse {
        deleted,
        at: at.as_millis(),
        receipt: of_deletion(signer, mailbox, &DeletionScope::Everything, deleted, at),
    }
}

fn of_deletion(
    signer: &dyn ReceiptSigner,
    mailbox: &MessagingKey,
    scope: &DeletionScope,
    deleted: u64,
    at: Timestamp,
) -> String {
    let signed = deletion_receipt_bytes(mailbox.as_bytes(), scope, deleted, at.as_millis());
    hex::encode(signer.sign(&signed))
}
