//! Many appends over one call. They begin in the order they came, go on side by side, and are
//! answered as they end; the client tells them apart by their correlation ids.

use std::collections::HashMap;
use std::task::Poll;

use futures_util::future::BoxFuture;
use futures_util::poll;
use futures_util::stream::{self, BoxStream, FuturesUnordered, StreamExt as _};
use satpost_commands::ports::LogError;
use satpost_domain::{Revision, limits};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::append::{Appender, ExpectedState, Outcome, Proposals};
use super::bounds;
use super::read_request::stream_to_append_to;
use super::refusal::Refusal;
use super::render::uuid_bytes;
use crate::protocol::shared;
use crate::protocol::streams::batch_append_req::Options;
use crate::protocol::streams::batch_append_req::options::ExpectedStreamPosition as Wanted;
use crate::protocol::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::protocol::streams::batch_append_resp::{
    ExpectedStreamPosition, Result as Answer, Success,
};
use crate::protocol::streams::{BatchAppendReq, BatchAppendResp};
use crate::wire_event;

/// How many appends of one call may wait for their further parts.
const UNFINISHED_MAX: usize = 16;

/// One call.
struct Batch {
    appender: Appender,
    requests: Streaming<BatchAppendReq>,
    stop: CancellationToken,
    /// Appends whose last part has not come, by correlation id.
    unfinished: HashMap<[u8; 16], Unfinished>,
    /// Appends that the store has, each with its bytes.
    in_flight: FuturesUnordered<BoxFuture<'static, (usize, BatchAppendResp)>>,
    in_flight_bytes: usize,
    /// How the call ends once everything in flight is answered.
    end: Option<Result<(), Status>>,
}

/// An append whose last part has not come.
struct Unfinished {
    answer: BatchAppendResp,
    options: Options,
    proposals: Proposals,
}

/// Answers every append of `requests` with where it ended, or why it did not happen.
pub(super) fn answers(
    appender: Appender,
    requests: Streaming<BatchAppendReq>,
    stop: CancellationToken,
) -> BoxStream<'static, Result<BatchAppendResp, Status>> {
    let batch = Batch {
        appender,
        requests,
        stop,
        unfinished: HashMap::new(),
        in_flight: FuturesUnordered::new(),
        in_flight_bytes: 0,
        end: None,
    };
    stream::unfold(Some(batch), |batch| async move {
        let mut batch = batch?;
        match batch.next().await {
            Some(Ok(answer)) => Some((Ok(answer), Some(batch))),
            Some(Err(status)) => Some((Err(status), None)),
            None => None,
        }
    })
    .boxed()
}

impl Batch {
    async fn next(&mut self) -> Option<Result<BatchAppendResp, Status>> {
        loop {
            let takes_more = self.end.is_none()
                && self.in_flight.len() < bounds::APPENDS_IN_FLIGHT_MAX
                && self.in_flight_bytes < limits::APPEND_BYTES_MAX;
            if self.in_flight.is_empty()
                && let Some(end) = self.end.take()
            {
                return end.err().map(Err);
            }
            tokio::select! {
                Some((bytes, answer)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.in_flight_bytes -= bytes;
                    return Some(Ok(answer));
                }
                request = self.requests.message(), if takes_more => match request {
                    Ok(Some(request)) => {
                        if let Some(answer) = self.take(request).await {
                            return Some(Ok(answer));
                        }
                    }
                    Ok(None) => self.end = Some(Ok(())),
                    Err(status) => self.end = Some(Err(status)),
                },
                () = self.stop.cancelled(), if self.end.is_none() => {
                    self.end = Some(Err(Status::unavailable("the server stops")));
                }
            }
        }
    }

    /// Takes one part of an append. Answers what is answered at once.
    async fn take(&mut self, request: BatchAppendReq) -> Option<BatchAppendResp> {
        let correlation_id = request.correlation_id.clone();
        let Some(key) = uuid_bytes(correlation_id.as_ref()) else {
            let refusal = Refusal::BadRequest("an append has no correlation id".to_owned());
            return Some(refused(
                BatchAppendResp {
                    correlation_id,
                    stream_identifier: Some(shared::StreamIdentifier::default()),
                    ..BatchAppendResp::default()
                },
                refusal,
            ));
        };
        let is_final = request.is_final;
        let mut unfinished = match self.with_part(key, request) {
            Ok(unfinished) => unfinished,
            Err(answer) => return Some(*answer),
        };
        if !is_final {
            self.unfinished.insert(key, unfinished);
            return None;
        }
        let bytes = unfinished.proposals.bytes();
        let proposals = std::mem::take(&mut unfinished.proposals);
        let append = carry_out(self.appender.clone(), unfinished, proposals);
        let mut append: BoxFuture<'static, _> = Box::pin(async move { (bytes, append.await) });
        // Begun here and now: what one call appends to a stream keeps its order that way.
        match poll!(&mut append) {
            Poll::Ready((_, answer)) => Some(answer),
            Poll::Pending => {
                self.in_flight_bytes += bytes;
                self.in_flight.push(append);
                None
            }
        }
    }

    /// What has come of an append so far, this part included.
    fn with_part(
        &mut self,
        key: [u8; 16],
        request: BatchAppendReq,
    ) -> Result<Unfinished, Box<BatchAppendResp>> {
        let refuse = |answer, refusal| Err(Box::new(refused(answer, refusal)));
        let mut unfinished = match (self.unfinished.remove(&key), request.options) {
            (Some(unfinished), _) => unfinished,
            (None, Some(options)) => Unfinished {
                answer: BatchAppendResp {
                    correlation_id: request.correlation_id,
                    stream_identifier: options.stream_identifier.clone(),
                    expected_stream_position: options.expected_stream_position.map(echo),
                    result: None,
                },
                options,
                proposals: Proposals::default(),
            },
            (None, None) => {
                let answer = BatchAppendResp {
                    correlation_id: request.correlation_id,
                    stream_identifier: Some(shared::StreamIdentifier::default()),
                    ..BatchAppendResp::default()
                };
                let refusal =
                    Refusal::BadRequest("the first part of an append has no options".to_owned());
                return refuse(answer, refusal);
            }
        };
        if !request.is_final && self.unfinished.len() >= UNFINISHED_MAX {
            let refusal = Refusal::Exhausted("too many appends wait for their further parts");
            return refuse(unfinished.answer, refusal);
        }
        for message in request.proposed_messages {
            if let Err(refusal) = unfinished.proposals.push(message.into()) {
                return refuse(unfinished.answer, refusal);
            }
        }
        let waiting: usize = self
            .unfinished
            .values()
            .map(|unfinished| unfinished.proposals.bytes())
            .sum();
        let all = waiting + unfinished.proposals.bytes();
        if all > limits::APPEND_BYTES_MAX {
            let error = LogError::TooLarge {
                max: limits::APPEND_BYTES_MAX,
                actual: all,
            };
            return refuse(unfinished.answer, error.into());
        }
        Ok(unfinished)
    }
}

async fn carry_out(
    appender: Appender,
    unfinished: Unfinished,
    proposals: Proposals,
) -> BatchAppendResp {
    let options = unfinished.options;
    let appended = async {
        let stream = stream_to_append_to(options.stream_identifier.as_ref())?;
        let expected = expected(options.expected_stream_position)?;
        appender.append(stream, expected, proposals).await
    };
    match appended.await {
        Ok(outcome) => BatchAppendResp {
            result: Some(Answer::Success(success(outcome))),
            ..unfinished.answer
        },
        Err(refusal) => refused(unfinished.answer, refusal),
    }
}

fn refused(answer: BatchAppendResp, refusal: Refusal) -> BatchAppendResp {
    BatchAppendResp {
        result: Some(Answer::Error(refusal.into_rpc_status())),
        ..answer
    }
}

fn expected(wanted: Option<Wanted>) -> Result<ExpectedState, Refusal> {
    match wanted {
        Some(Wanted::StreamPosition(revision)) => Ok(ExpectedState::Exact(Revision(revision))),
        Some(Wanted::NoStream(())) => Ok(ExpectedState::NoStream),
        Some(Wanted::Any(())) => Ok(ExpectedState::Any),
        Some(Wanted::StreamExists(())) => Ok(ExpectedState::StreamExists),
        None => Err(Refusal::BadRequest(
            "an append does not say what it expects".to_owned(),
        )),
    }
}

fn echo(wanted: Wanted) -> ExpectedStreamPosition {
    match wanted {
        Wanted::StreamPosition(revision) => ExpectedStreamPosition::StreamPosition(revision),
        Wanted::NoStream(()) => ExpectedStreamPosition::NoStream(()),
        Wanted::Any(()) => ExpectedStreamPosition::Any(()),
        Wanted::StreamExists(()) => ExpectedStreamPosition::StreamExists(()),
    }
}

fn success(outcome: Outcome) -> Success {
    let (last, at) = match outcome {
        Outcome::Appended(appended) => (Some(appended.revision), Some(appended.position)),
        Outcome::Nothing { last } => (last, None),
    };
    Success {
        current_revision_option: Some(match last {
            Some(Revision(revision)) => CurrentRevisionOption::CurrentRevision(revision),
            None => CurrentRevisionOption::NoStream(()),
        }),
        position_option: Some(match at.map(wire_event::position_to_wire) {
            Some((commit_position, prepare_position)) => {
                PositionOption::Position(shared::AllStreamPosition {
                    commit_position,
                    prepare_position,
                })
            }
            None => PositionOption::NoPosition(()),
        }),
    }
}
