//! A server of the protocol that answers as it is told, in place of one that cannot be made to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::super::identity;
use crate::protocol::streams::batch_append_req::options::ExpectedStreamPosition as Expected;
use crate::protocol::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::protocol::streams::batch_append_resp::{Result as Answer, Success};
use crate::protocol::streams::read_req::options::{
    CountOption, StreamOption, all_options::AllOption,
};
use crate::protocol::streams::read_resp::read_event::RecordedEvent;
use crate::protocol::streams::read_resp::{
    Checkpoint, Content, ReadEvent, StreamNotFound, SubscriptionConfirmation,
};
use crate::protocol::streams::streams_server::{Streams, StreamsServer};
use crate::protocol::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq,
    ReadResp, TombstoneReq, TombstoneResp,
};
use crate::protocol::{server_features, shared};
use crate::wire_event::CustomMetadata;

/// What the fake is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// To read this stream.
    Stream(String),
    /// To read the log.
    All,
    /// To follow the log, from this commit position, for the time that is counted from 1.
    Subscribe { from: u64, time: usize },
}

/// Messages, and whether the call then ends in good order or stays open.
pub(super) struct Told {
    pub(super) contents: Vec<Content>,
    pub(super) ends: bool,
}

type Script = dyn Fn(Asked) -> Result<Option<Told>, Status> + Send + Sync;

/// What a fake saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) plain_appends: AtomicUsize,
    pub(super) batch_appends: AtomicUsize,
    pub(super) subscriptions: AtomicUsize,
}

struct Fake {
    script: Box<Script>,
    seen: Arc<Seen>,
}

/// Starts a fake. The script answers reads; what it leaves open is answered as by an empty log.
pub(super) async fn start(
    script: impl Fn(Asked) -> Result<Option<Told>, Status> + Send + Sync + 'static,
) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind(super::any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::<Seen>::default();
    let fake = Fake {
        script: Box::new(script),
        seen: Arc::clone(&seen),
    };
    let incoming = TcpIncoming::from_listener(listener, true, None).unwrap();
    let server = Server::builder()
        .add_service(StreamsServer::new(fake))
        .add_service(server_features::server_features_server::ServerFeaturesServer::new(Features));
    tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    (address, seen)
}

struct Features;

#[tonic::async_trait]
impl server_features::server_features_server::ServerFeatures for Features {
    async fn get_supported_methods(
        &self,
        _: Request<()>,
    ) -> Result<Response<server_features::SupportedMethods>, Status> {
        let method = |name: &str| server_features::SupportedMethod {
            method_name: name.to_owned(),
            service_name: "event_store.client.streams.streams".to_owned(),
            features: Vec::new(),
        };
        Ok(Response::new(server_features::SupportedMethods {
            methods: vec![method("batchappend"), method("read")],
            event_store_server_version: "23.10.0".to_owned(),
        }))
    }
}

/// A string id.
fn id_of(number: u64) -> shared::Uuid {
    let text = uuid::Uuid::from_u64_pair(number, number).to_string();
    shared::Uuid {
        value: Some(shared::uuid::Value::String(text)),
    }
}

/// One of our events.
pub(super) fn event_at(stream: &str, revision: u64, position: u64) -> Content {
    let custom = CustomMetadata {
        schema: 1,
        payload: None,
        erases: Vec::new(),
        metadata: Vec::new(),
    };
    let metadata = [
        ("type", "message_accepted"),
        ("content-type", "application/octet-stream"),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Content::Event(ReadEvent {
        event: Some(RecordedEvent {
            id: Some(id_of(position)),
            stream_identifier: Some(shared::StreamIdentifier {
                stream_name: stream.as_bytes().to_vec(),
            }),
            stream_revision: revision,
            prepare_position: position,
            commit_position: position,
            metadata: metadata.into_iter().collect(),
            custom_metadata: custom.encode(),
            data: vec![9; 16],
        }),
        link: None,
        position: None,
    })
}

pub(super) fn checkpoint(position: u64) -> Content {
    Content::Checkpoint(Checkpoint {
        commit_position: position,
        prepare_position: position,
        timestamp: None,
    })
}

fn asked(request: ReadReq, seen: &Seen) -> Asked {
    let options = request.options.unwrap();
    match options.stream_option.unwrap() {
        StreamOption::Stream(stream) => {
            let name = stream.stream_identifier.unwrap().stream_name;
            Asked::Stream(String::from_utf8(name).unwrap())
        }
        StreamOption::All(all) => match options.count_option.unwrap() {
            CountOption::Count(_) => Asked::All,
            CountOption::Subscription(_) => Asked::Subscribe {
                from: match all.all_option.unwrap() {
                    AllOption::Position(position) => position.commit_position,
                    AllOption::Start(()) | AllOption::End(()) => 0,
                },
                time: seen.subscriptions.fetch_add(1, Ordering::SeqCst) + 1,
            },
        },
    }
}

fn as_of_an_empty_log(asked: Asked) -> Told {
    let contents = match asked {
        Asked::Stream(name) if name == identity::STREAM => vec![event_at(&name, 0, 1)],
        Asked::Stream(_) => vec![Content::StreamNotFound(StreamNotFound {
            stream_identifier: None,
        })],
        Asked::All => Vec::new(),
        Asked::Subscribe { .. } => vec![Content::Confirmation(SubscriptionConfirmation {
            subscription_id: "1".to_owned(),
        })],
    };
    Told {
        ends: !matches!(contents.first(), Some(Content::Confirmation(_))),
        contents,
    }
}

#[tonic::async_trait]
impl Streams for Fake {
    type ReadStream = BoxStream<'static, Result<ReadResp, Status>>;
    type BatchAppendStream = BoxStream<'static, Result<BatchAppendResp, Status>>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let asked = asked(request.into_inner(), &self.seen);
        let told = (self.script)(asked.clone())?.unwrap_or_else(|| as_of_an_empty_log(asked));
        let answers = stream::iter(told.contents).map(|content| {
            Ok(ReadResp {
                content: Some(content),
            })
        });
        Ok(Response::new(if told.ends {
            answers.boxed()
        } else {
            answers.chain(stream::pending()).boxed()
        }))
    }

    async fn append(
        &self,
        _: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        self.seen.plain_appends.fetch_add(1, Ordering::SeqCst);
        Err(Status::unimplemented("plain append"))
    }

    async fn delete(&self, _: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(Status::unimplemented("delete"))
    }

    async fn tombstone(&self, _: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        Err(Status::unimplemented("tombstone"))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let seen = Arc::clone(&self.seen);
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            let count = seen.batch_appends.fetch_add(1, Ordering::SeqCst) as u64;
            let options = request.options.unwrap();
            let begin = match options.expected_stream_position.unwrap() {
                Expected::StreamPosition(last) => last + 1,
                _ => 0,
            };
            let last = begin + request.proposed_messages.len() as u64 - 1;
            Ok(BatchAppendResp {
                correlation_id: request.correlation_id,
                stream_identifier: options.stream_identifier,
                expected_stream_position: None,
                result: Some(Answer::Success(Success {
                    current_revision_option: Some(CurrentRevisionOption::CurrentRevision(last)),
                    position_option: Some(PositionOption::Position(shared::AllStreamPosition {
                        commit_position: 100 + count,
                        prepare_position: 100 + count,
                    })),
                })),
            })
        });
        Ok(Response::new(answers.boxed()))
    }
}
