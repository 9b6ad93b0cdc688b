//! One call: sign, send, read, and again when that helps.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use satpost_api_types::header;
use satpost_api_types::problem::{Problem, ProblemCode};
use satpost_api_types::signature::{CoveredRequest, content_digest};
use satpost_domain::{CommandId, Position, Timestamp};
use serde::de::DeserializeOwned;

use super::error::{CallError, Refusal};
use super::{HttpClient, retry};
use crate::ports::draw;
use crate::request_signer::{Signers, sign_request};

/// How long a request may take from connecting to the last byte, beside what it asks to wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read: a full fetch in base64, and room for what surrounds it.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A clock that is right but refused is older than the server's process; its next second is not.
const NEXT_SECOND: Duration = Duration::from_millis(1_100);
/// Changes of our idea of the server's clock below this are no correction.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(2);

/// The body of a request.
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// What is asked for.
pub(super) struct Call<'k> {
    pub(super) method: Method,
    pub(super) path: String,
    /// Without the question mark.
    pub(super) query: String,
    pub(super) body: Option<Body>,
    /// Set on commands.
    pub(super) command: Option<CommandId>,
    pub(super) signers: Option<Signers<'k>>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// How long the server may hold the request back.
    pub(super) wait: Duration,
    /// True when nothing may tell who asks: no key, no connection, and nothing that was learned on one
    /// and repeated on the other.
    pub(super) unnamed: bool,
}

impl<'k> Call<'k> {
    /// A query.
    pub(super) fn query(path: &str, signers: Option<Signers<'k>>) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: String::new(),
            body: None,
            command: None,
            signers,
            headers: Vec::new(),
            wait: Duration::ZERO,
            unnamed: false,
        }
    }

    /// A command.
    pub(super) fn command(
        method: Method,
        path: &str,
        signers: Signers<'k>,
        command: CommandId,
    ) -> Self {
        Self {
            method,
            command: Some(command),
            ..Self::query(path, Some(signers))
        }
    }

    /// A command of somebody who does not say who it is.
    pub(super) fn unnamed(method: Method, path: &str, command: CommandId) -> Self {
        Self {
            method,
            command: Some(command),
            unnamed: true,
            ..Self::query(path, None)
        }
    }

    /// With a JSON body.
    pub(super) fn json(mut self, body: &impl serde::Serialize) -> Self {
        self.body = Some(Body {
            content_type: "application/json",
            bytes: serde_json::to_vec(body).expect("requests have text keys only"),
        });
        self
    }
}

/// An answer in the 200s.
pub(super) struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// Reads the JSON body.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::UnexpectedAnswer {
            status: self.status.as_u16(),
            what: error.to_string(),
        })
    }

    /// True for 204.
    pub(super) fn is_empty(&self) -> bool {
        self.status == StatusCode::NO_CONTENT
    }
}

impl HttpClient {
    /// Carries out `call`, again where that is safe and helps.
    pub(super) async fn carry_out(&self, call: &Call<'_>) -> Result<Answer, CallError> {
        let whole = async |response: Response, attempts| {
            let status = response.status();
            let body = read(response, attempts).await?;
            Ok(Answer { status, body })
        };
        self.repeat(call, whole).await
    }

    /// Carries out `call` in the same way, and leaves the answer's body to be read as it comes.
    pub(super) async fn open(&self, call: &Call<'_>) -> Result<Response, CallError> {
        self.repeat(call, async |response, _| Ok(response)).await
    }

    async fn repeat<T>(
        &self,
        call: &Call<'_>,
        take: impl AsyncFn(Response, u32) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let mut attempts = 1;
        let mut clock_corrected = false;
        loop {
            let outcome = match self.attempt(call, attempts).await {
                Ok(response) => take(response, attempts).await,
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(server_time) = skewed(&error)
                && !clock_corrected
            {
                clock_corrected = true;
                if self.correct_clock(server_time) < CLOCK_STEP_MIN {
                    tokio::time::sleep(NEXT_SECOND).await;
                }
                continue;
            }
            let dice = u32::from_be_bytes(draw(self.entropy.as_ref()));
            match retry::delay(&error, attempts, dice) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
            attempts += 1;
        }
    }

    /// Sends the request once; the body of a success is still to come.
    async fn attempt(&self, call: &Call<'_>, attempts: u32) -> Result<Response, CallError> {
        let unreachable = |source| CallError::Unreachable { attempts, source };
        let response = self.request(call).send().await.map_err(unreachable)?;
        let status = response.status();
        if !call.unnamed {
            self.learn_position(response.headers());
        }
        let retry_after = retry_after(response.headers());
        let is_problem = is_problem(response.headers());
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response, attempts).await?;
        let refusal = Some(&body)
            .filter(|_| is_problem)
            .and_then(|body| serde_json::from_slice::<Problem>(body).ok())
            .and_then(|problem| Refusal::from_problem(problem, retry_after));
        Err(match refusal {
            Some(refusal) => Box::new(refusal).into(),
            None => CallError::UnexpectedAnswer {
                status: status.as_u16(),
                what: "no problem with a known code".to_owned(),
            },
        })
    }

    fn request(&self, call: &Call<'_>) -> reqwest::RequestBuilder {
        let url = self.base.join(&call.path, &call.query);
        let digest = call.body.as_ref().map(|body| content_digest(&body.bytes));
        let command = call.command.map(|command| command.to_string());
        let http = if call.unnamed {
            &self.unnamed
        } else {
            &self.http
        };
        let mut request = http
            .request(call.method.clone(), url.clone())
            .timeout(CALL_TIMEOUT + call.wait);
        if let Some(signers) = call.signers {
            let covered = CoveredRequest {
                method: call.method.as_str(),
                authority: &self.base.authority(),
                path: url.path(),
                query: url.query().unwrap_or_default(),
                content_digest: digest.as_deref(),
                idempotency_key: command.as_deref(),
            };
            let signed = sign_request(&covered, signers, self.server_now(), self.entropy.as_ref());
            request = request
                .header("signature-input", signed.signature_input)
                .header("signature", signed.signature);
        }
        if let Some(command) = command {
            request = request.header(header::IDEMPOTENCY_KEY, command);
        } else if let Some(position) = self.position() {
            request = request.header(header::MIN_POSITION, position.to_string());
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let (Some(body), Some(digest)) = (&call.body, digest) {
            request = request
                .header(CONTENT_TYPE, body.content_type)
                .header("content-digest", digest)
                .body(body.bytes.clone());
        }
        request
    }

    /// A position that does not parse is of no use and no harm.
    fn learn_position(&self, headers: &HeaderMap) {
        let position = headers
            .get(header::POSITION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse::<Position>().ok());
        if let Some(position) = position {
            self.remember_position(position);
        }
    }
}

fn skewed(error: &CallError) -> Option<Timestamp> {
    match error {
        CallError::Refused(refusal) if refusal.code == ProblemCode::ClockSkew => {
            refusal.server_time.map(Timestamp::from_millis)
        }
        _ => None,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/problem+json"))
}

async fn read(mut response: Response, attempts: u32) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|source| CallError::Unreachable { attempts, source })? {
            Some(chunk) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err(CallError::UnexpectedAnswer {
                    // Not a server error: the same answer would come again.
                    status: response.status().as_u16().min(499),
                    what: format!("an answer of more than {ANSWER_BYTES_MAX} bytes"),
                });
            }
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(body),
        }
    }
}
