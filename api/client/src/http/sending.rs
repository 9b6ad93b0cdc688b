//! Putting messages into the mailboxes of others: signed, or without saying who sends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use satpost_api_types::batch::{
    BatchMessage, SendMessageResult, SendMessagesRequest, SendMessagesResponse,
};
use satpost_api_types::header;
use satpost_api_types::messages::SendMessageResponse;
use satpost_domain::mailbox::WorkProof;
use satpost_domain::{CommandId, MessagingKey};

use super::call::{Body, Call};
use super::{CallError, HttpClient, Refusal};
use crate::keys::IdentitySecret;
use crate::ports::draw_command_id;
use crate::request_signer::Signers;
use crate::token::TokenSecret;

/// A message as it is sent. A repeat needs the same command and the same body.
#[derive(Debug, Clone, Copy)]
pub struct Posting<'a> {
    /// Whose mailbox it is for.
    pub recipient: &'a MessagingKey,
    /// The sealed body.
    pub body: &'a [u8],
    /// How long it may wait; the server's default when not said.
    pub ttl: Option<Duration>,
    /// Its `Idempotency-Key`.
    pub command: CommandId,
    /// The token that the recipient gave.
    pub token: Option<&'a TokenSecret>,
    /// The work that was done in place of one.
    pub work: Option<WorkProof>,
}

impl HttpClient {
    /// Puts a sealed body into the mailbox of `recipient`, in the name of a registered client: for
    /// mailboxes that are open to strangers. A repeat needs the same `command` and the same body; it
    /// gives the first answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn send_message(
        &self,
        identity: &IdentitySecret,
        recipient: &MessagingKey,
        body: &[u8],
        ttl: Option<Duration>,
        command: CommandId,
    ) -> Result<SendMessageResponse, CallError> {
        let posting = Posting {
            recipient,
            body,
            ttl,
            command,
            token: None,
            work: None,
        };
        let path = format!("/v1/queues/{recipient}/messages");
        let call = Call::command(Method::POST, &path, Signers::one(identity), command);
        self.carry_out(&posting.fill(call)).await?.json()
    }

    /// Puts a sealed body into a mailbox without saying who sends it: on a connection of its own and
    /// without a signature.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn send_unnamed(
        &self,
        posting: &Posting<'_>,
    ) -> Result<SendMessageResponse, CallError> {
        let path = format!("/v1/queues/{}/messages", posting.recipient);
        let call = Call::unnamed(Method::POST, &path, posting.command);
        self.carry_out(&posting.fill(call)).await?.json()
    }

    /// Sends 1 to 64 messages in one request, in the name of `identity` when it is given. What became
    /// of each stands in their order; the failure of one changes nothing for the others.
    ///
    /// Messages of one request are known to have one sender, so the wallet does not send its own this
    /// way: it would tell the server which of its contacts share a correspondent.
    ///
    /// # Errors
    /// [`CallError`] when the request as a whole fails.
    pub async fn send_messages(
        &self,
        identity: Option<&IdentitySecret>,
        postings: &[Posting<'_>],
    ) -> Result<Vec<Result<SendMessageResponse, CallError>>, CallError> {
        let (method, path) = (Method::POST, "/v1/messages:batch");
        let command = draw_command_id(self.entropy.as_ref());
        let call = match identity {
            Some(identity) => Call::command(method, path, Signers::one(identity), command),
            None => Call::unnamed(method, path, command),
        };
        let messages = postings.iter().map(Posting::item).collect();
        let call = call.json(&SendMessagesRequest { messages });
        let answer: SendMessagesResponse = self.carry_out(&call).await?.json()?;
        if answer.results.len() != postings.len() {
            return Err(CallError::UnexpectedAnswer {
                status: 200,
                what: format!(
                    "{} results for {} messages",
                    answer.results.len(),
                    postings.len()
                ),
            });
        }
        Ok(answer.results.into_iter().map(of_item).collect())
    }
}

impl Posting<'_> {
    fn fill<'k>(&self, mut call: Call<'k>) -> Call<'k> {
        call.body = Some(Body {
            content_type: "application/octet-stream",
            bytes: self.body.to_vec(),
        });
        let headers = [
            (header::TTL, self.ttl.map(|ttl| ttl.as_secs().to_string())),
            (header::DELIVERY_TOKEN, self.token.map(TokenSecret::to_hex)),
            (
                header::PROOF_OF_WORK,
                self.work.map(|work| work.to_string()),
            ),
        ];
        let given = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        call.headers.extend(given);
        call
    }

    fn item(&self) -> BatchMessage {
        BatchMessage {
            recipient: self.recipient.to_string(),
            body: STANDARD.encode(self.body),
            ttl: self.ttl.map(|ttl| ttl.as_secs()),
            idempotency_key: self.command.to_string(),
            delivery_token: self.token.map(TokenSecret::to_hex),
            proof_of_work: self.work.map(|work| work.to_string()),
        }
    }
}

fn of_item(result: SendMessageResult) -> Result<SendMessageResponse, CallError> {
    let problem = match result {
        SendMessageResult::Message(message) => return Ok(message),
        SendMessageResult::Problem(problem) => problem,
    };
    let (status, retry_after) = (problem.status, problem.retry_after);
    let refusal = Refusal::from_problem(problem, retry_after.map(Duration::from_secs));
    Err(match refusal {
        Some(refusal) => Box::new(refusal).into(),
        None => CallError::UnexpectedAnswer {
            status,
            what: "no problem with a known code".to_owned(),
        },
    })
}
