//! What a client asks for over a socket: the same commands as over HTTP, counted as the same
//! operations, under the same limiter.

use actix_web::web::Data;
use satpost_api_types::live::{ClientFrame, ProblemFrame, ServerFrame};
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeParked, AcknowledgeThrough, ParkMessages,
};
use satpost_domain::MessagingKey;
use tokio::time::Instant;

use crate::acknowledge::{Settled, settle};
use crate::extract::frame_context;
use crate::problem::{ApiError, retry_after_secs, status};
use crate::state::ApiState;

/// The operation that these commands count as.
const OPERATION: &str = "acknowledge_messages";

/// A command with its id.
pub(super) struct FrameCommand {
    id: String,
    /// Its kind, part of what a repeat must agree on.
    kind: &'static str,
    request: AcknowledgeMessagesRequest,
}

/// The command of a frame, or the credit that it gives.
pub(super) fn of(frame: ClientFrame) -> Result<FrameCommand, u64> {
    let (id, kind, request) = match frame {
        ClientFrame::Credit { n } => return Err(n),
        ClientFrame::Ack { id, through, chain } => {
            let request = AcknowledgeThrough { through, chain };
            (id, "ack", AcknowledgeMessagesRequest::Through(request))
        }
        ClientFrame::Park { id, park } => {
            let request = AcknowledgeMessagesRequest::Park(ParkMessages { park });
            (id, "park", request)
        }
        ClientFrame::ParkedAck { id, parked } => {
            let request = AcknowledgeMessagesRequest::Parked(AcknowledgeParked { parked });
            (id, "parked-ack", request)
        }
    };
    Ok(FrameCommand { id, kind, request })
}

impl FrameCommand {
    /// Carries it out and tells what came of it.
    pub(super) async fn carry_out(
        self,
        state: &Data<ApiState>,
        mailbox: MessagingKey,
    ) -> ServerFrame {
        let started = Instant::now();
        let outcome = self.settle(state, mailbox).await;
        let (http_status, code) = match &outcome {
            Ok(_) => ("200".to_owned(), "ok"),
            Err(error) => (status(error.code).as_str().to_owned(), error.code.as_str()),
        };
        let seconds = started.elapsed().as_secs_f64();
        state
            .metrics
            .answered(OPERATION, &http_status, code, seconds);
        match outcome {
            Ok(settled) => self.done(settled),
            Err(error) => {
                error.log("a command over a socket is refused");
                refused(Some(self.id), &error)
            }
        }
    }

    async fn settle(
        &self,
        state: &Data<ApiState>,
        mailbox: MessagingKey,
    ) -> Result<Settled, ApiError> {
        state.rate_limiters.check_key(mailbox.as_bytes())?;
        // As it is written here, not as it came: a repeat may come in the other form.
        let body = serde_json::to_vec(&self.request).map_err(ApiError::internal)?;
        let context = frame_context(mailbox.as_bytes(), &self.id, self.kind, &body)?;
        settle(state, context, mailbox, self.request.clone()).await
    }

    fn done(self, settled: Settled) -> ServerFrame {
        let position = settled.position.to_string();
        let through = match self.request {
            AcknowledgeMessagesRequest::Through(request) => Some(request.through),
            AcknowledgeMessagesRequest::Parked(_) => None,
            AcknowledgeMessagesRequest::Park(_) => {
                return ServerFrame::Parked {
                    id: self.id,
                    position,
                };
            }
        };
        ServerFrame::Acknowledged {
            id: self.id,
            through,
            deleted: settled.answer.deleted,
            at: settled.answer.at,
            receipt: settled.answer.receipt,
            position,
        }
    }
}

/// A refusal as a frame. Says nothing about the cause of a 5xx, as over HTTP.
pub(super) fn refused(id: Option<String>, error: &ApiError) -> ServerFrame {
    ServerFrame::Problem(ProblemFrame {
        id,
        code: error.code.as_str().to_owned(),
        status: error.code.status(),
        title: error.code.title().to_owned(),
        detail: error.detail.as_deref().map(str::to_owned),
        limit: error.limit,
        retry_after: retry_after_secs(error),
    })
}
