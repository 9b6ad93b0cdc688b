//! The service of streams: takes calls apart, and hands them to what answers them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use satpost_commands::ports::LogError;
use satpost_domain::{Position, Revision, StreamId};
use satpost_event_store::{EventStore, LogIdentity, StoredItem};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::append::{Appender, ExpectedState, Outcome, Proposals};
use super::filter::EventFilter;
use super::read_request::{Amount, ReadRequest, Source, Start, stream_to_append_to};
use super::refusal::Refusal;
use super::render::Render;
use super::{FacadeOptions, batch, read_all, read_stream, subscription};
use crate::protocol::streams::append_req::options::ExpectedStreamRevision as Wanted;
use crate::protocol::streams::append_req::{Content, Options};
use crate::protocol::streams::append_resp::{self, success, wrong_expected_version};
use crate::protocol::streams::streams_server::Streams;
use crate::protocol::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq,
    ReadResp, TombstoneReq, TombstoneResp,
};
use crate::wire_event;

/// The service of streams.
pub(super) struct Service {
    store: Arc<dyn EventStore>,
    options: FacadeOptions,
    identity: LogIdentity,
    stop: CancellationToken,
    places: Arc<Semaphore>,
    subscriptions: AtomicU64,
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        options: FacadeOptions,
        identity: LogIdentity,
        stop: CancellationToken,
    ) -> Self {
        let places = Arc::new(Semaphore::new(options.subscriptions_max));
        Self {
            store,
            options,
            identity,
            stop,
            places,
            subscriptions: AtomicU64::new(0),
        }
    }

    fn render(&self, structured_ids: bool) -> Render {
        Render {
            meaning: Arc::clone(&self.options.meaning),
            clock: self.options.clock.clone(),
            structured_ids,
        }
    }

    fn appender(&self) -> Result<Appender, Refusal> {
        if !self.options.append {
            return Err(Refusal::AppendOff);
        }
        Ok(Appender {
            store: Arc::clone(&self.store),
            meaning: Arc::clone(&self.options.meaning),
            clock: self.options.clock.clone(),
        })
    }

    async fn answer(&self, request: ReadRequest) -> Result<Answers<ReadResp>, Refusal> {
        let store = Arc::clone(&self.store);
        let render = self.render(request.structured_ids);
        match (request.source, request.amount) {
            (
                Source::Stream {
                    stream,
                    name,
                    start,
                },
                Amount::Events { direction, max },
            ) => Ok(match stream {
                Some(stream) => read_stream::read(store, stream, start, direction, max, render),
                None => stream::iter([Ok(read_stream::not_found(name))]).boxed(),
            }),
            (Source::All { start, filter, .. }, Amount::Events { direction, max }) => {
                Ok(read_all::read(store, start, filter, direction, max, render))
            }
            (Source::Stream { stream, start, .. }, Amount::Subscription) => {
                self.subscribe_to_stream(stream, start, render).await
            }
            (
                Source::All {
                    start,
                    filter,
                    checkpoint_interval,
                },
                Amount::Subscription,
            ) => {
                let after = match start {
                    Start::Beginning => Position::START,
                    Start::At(position) => position,
                    Start::End => store.head().await?,
                };
                let items = store.follow(after, filter.of_store());
                self.subscription(items, filter, checkpoint_interval, false, render)
            }
        }
    }

    async fn subscribe_to_stream(
        &self,
        stream: Option<StreamId>,
        start: Start<Revision>,
        render: Render,
    ) -> Result<Answers<ReadResp>, Refusal> {
        let stream = stream.ok_or_else(|| {
            Refusal::BadRequest(
                "no stream can have this name, so nothing will ever come".to_owned(),
            )
        })?;
        let items = read_stream::follow(Arc::clone(&self.store), stream, start).await?;
        self.subscription(items, EventFilter::all(), None, true, render)
    }

    fn subscription(
        &self,
        items: BoxStream<'static, Result<StoredItem, LogError>>,
        filter: EventFilter,
        checkpoint_interval: Option<u32>,
        of_one_stream: bool,
        render: Render,
    ) -> Result<Answers<ReadResp>, Refusal> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Refusal::Exhausted("as many subscriptions as are allowed are open"))?;
        let number = self.subscriptions.fetch_add(1, Ordering::Relaxed);
        let log = u128::from_be_bytes(self.identity.0);
        Ok(subscription::answers(subscription::Parts {
            // Looks like the id that clients expect, and is as unique as it must be.
            id: Uuid::from_u128(log ^ u128::from(number)).to_string(),
            items,
            filter,
            checkpoint_interval,
            of_one_stream,
            render,
            _place: place,
            stop: self.stop.clone(),
        }))
    }
}

#[tonic::async_trait]
impl Streams for Service {
    type ReadStream = Answers<ReadResp>;
    type BatchAppendStream = Answers<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let request = ReadRequest::parse(request.into_inner()).map_err(Refusal::into_status)?;
        let answers = self.answer(request).await.map_err(Refusal::into_status)?;
        Ok(Response::new(answers))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        let appender = self.appender().map_err(Refusal::into_status)?;
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|first| first.content);
        let Some(Content::Options(options)) = first else {
            return Err(Status::invalid_argument(
                "an append begins with its options",
            ));
        };
        let mut proposals = Proposals::default();
        while let Some(message) = messages.message().await? {
            match message.content {
                Some(Content::ProposedMessage(proposed)) => proposals
                    .push(proposed.into())
                    .map_err(Refusal::into_status)?,
                _ => {
                    let sentence = "after the options of an append come events only";
                    return Err(Status::invalid_argument(sentence));
                }
            }
        }
        append(&appender, options, proposals).await
    }

    async fn delete(&self, _request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(Refusal::Delete.into_status())
    }

    async fn tombstone(
        &self,
        _request: Request<TombstoneReq>,
    ) -> Result<Response<TombstoneResp>, Status> {
        Err(Refusal::Delete.into_status())
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let appender = self.appender().map_err(Refusal::into_status)?;
        let answers = batch::answers(appender, request.into_inner(), self.stop.clone());
        Ok(Response::new(answers))
    }
}

async fn append(
    appender: &Appender,
    options: Options,
    proposals: Proposals,
) -> Result<Response<AppendResp>, Status> {
    let stream =
        stream_to_append_to(options.stream_identifier.as_ref()).map_err(Refusal::into_status)?;
    let expected = match options.expected_stream_revision {
        Some(Wanted::Revision(revision)) => ExpectedState::Exact(Revision(revision)),
        Some(Wanted::NoStream(())) => ExpectedState::NoStream,
        Some(Wanted::StreamExists(())) => ExpectedState::StreamExists,
        Some(Wanted::Any(())) | None => ExpectedState::Any,
    };
    let result = match appender.append(stream, expected, proposals).await {
        Ok(outcome) => append_resp::Result::Success(success(outcome)),
        Err(Refusal::WrongVersion { expected, actual }) => {
            append_resp::Result::WrongExpectedVersion(wrong_version(expected, actual))
        }
        Err(refusal) => return Err(refusal.into_status()),
    };
    Ok(Response::new(AppendResp {
        result: Some(result),
    }))
}

fn success(outcome: Outcome) -> append_resp::Success {
    let (last, at) = match outcome {
        Outcome::Appended(appended) => (Some(appended.revision), Some(appended.position)),
        Outcome::Nothing { last } => (last, None),
    };
    append_resp::Success {
        current_revision_option: Some(match last {
            Some(Revision(revision)) => success::CurrentRevisionOption::CurrentRevision(revision),
            None => success::CurrentRevisionOption::NoStream(()),
        }),
        position_option: Some(match at.map(wire_event::position_to_wire) {
            Some((commit_position, prepare_position)) => {
                success::PositionOption::Position(append_resp::Position {
                    commit_position,
                    prepare_position,
                })
            }
            None => success::PositionOption::NoPosition(()),
        }),
    }
}

fn wrong_version(
    expected: ExpectedState,
    actual: Option<Revision>,
) -> append_resp::WrongExpectedVersion {
    use wrong_expected_version::{CurrentRevisionOption, ExpectedRevisionOption};
    append_resp::WrongExpectedVersion {
        current_revision_option: Some(match actual {
            Some(Revision(revision)) => CurrentRevisionOption::CurrentRevision(revision),
            None => CurrentRevisionOption::CurrentNoStream(()),
        }),
        expected_revision_option: Some(match expected {
            ExpectedState::Exact(Revision(revision)) => {
                ExpectedRevisionOption::ExpectedRevision(revision)
            }
            ExpectedState::Any => ExpectedRevisionOption::ExpectedAny(()),
            ExpectedState::StreamExists => ExpectedRevisionOption::ExpectedStreamExists(()),
            ExpectedState::NoStream => ExpectedRevisionOption::ExpectedNoStream(()),
        }),
    }
}
