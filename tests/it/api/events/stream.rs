//! A reader of event streams that knows nothing of the SDK's, and a chain that a test writes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use satpost_api_types::transactions::{Block, TransactionChange};
use satpost_commands::ports::{Appended, EventLog as _, Expected, LogError, NewEvent};
use satpost_domain::chain::{BlockRef, ChainEvent, Touch};
use satpost_domain::ids::{BlockHash, RequestDigest, Txid};
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::{CommandId, EventId, Metadata, Position, StreamId, Timestamp};
use satpost_infra::event_log::StoredEventLog;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::{Request, fresh};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;
use crate::api::wallet::Wallet;

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// How many events one append of these tests has.
const APPEND_EVENTS: usize = 1_000;

/// An event as it came.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) change: TransactionChange,
}

/// An open stream.
pub(crate) struct Stream {
    response: reqwest::Response,
    text: String,
    last_id: String,
}

impl Stream {
    pub(crate) async fn open(wallet: &Wallet, path: &str, server: &HttpServer) -> Self {
        Self::send(&Request::query(path, &wallet.identity), server).await
    }

    /// Goes on after the event `id`; from the beginning when that is empty.
    pub(crate) async fn resume(wallet: &Wallet, id: &str, server: &HttpServer) -> Self {
        let request = Request::query("/v1/events", &wallet.identity);
        Self::send(&request.header("last-event-id", id), server).await
    }

    async fn send(request: &Request<'_>, server: &HttpServer) -> Self {
        let mut path = request.path.clone();
        // An empty cursor is no cursor.
        let mut request = request.clone();
        if request.query == "after=" {
            request.query.clear();
        }
        if !request.query.is_empty() {
            write!(path, "?{}", request.query).unwrap();
        }
        let mut sent = server.http.get(format!("{}{path}", server.base()));
        for (name, value) in request.sign(server) {
            sent = sent.header(name, value);
        }
        let response = timeout(PATIENCE, sent.send()).await.unwrap().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let mut stream = Self {
            response,
            text: String::new(),
            last_id: String::new(),
        };
        assert_eq!(stream.block().await, "retry: 2000");
        stream
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    pub(crate) fn last_id(&self) -> &str {
        &self.last_id
    }

    /// The next lines up to an empty one.
    async fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return block;
            }
            let piece = timeout(PATIENCE, self.response.chunk()).await;
            let piece = piece.expect("an event comes in time").unwrap();
            let piece = piece.expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Told {
        loop {
            let block = self.block().await;
            if block == ":" {
                continue;
            }
            let field = |name: &str| {
                let mut lines = block.lines();
                let value = lines.find_map(|line| line.strip_prefix(name));
                value.unwrap_or_else(|| panic!("no {name} in {block:?}"))
            };
            let told = Told {
                id: field("id: ").to_owned(),
                name: field("event: ").to_owned(),
                change: serde_json::from_str(field("data: ")).unwrap(),
            };
            assert_eq!(told.name, told.change.step.status.event_name());
            self.last_id.clone_from(&told.id);
            return told;
        }
    }

    /// True when nothing but heartbeats comes for that long.
    pub(crate) async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.next()).await.is_err()
    }

    /// Everything until the server ends the stream in good order.
    pub(crate) async fn rest(&mut self) -> String {
        while let Some(piece) = self.response.chunk().await.expect("an end in good order") {
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        self.text.clone()
    }
}

/// A connection with a small buffer that asks for a stream.
pub(crate) async fn open_and_never_read(wallet: &Wallet, server: &HttpServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(server.address()).await.unwrap();
    let request = Request::query("/v1/events", &wallet.identity);
    let mut head = "GET /v1/events HTTP/1.1\r\n".to_owned();
    for (name, value) in request.sign(server) {
        writeln!(head, "{name}: {value}\r").unwrap();
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Waits until the server counts so many open streams.
pub(crate) async fn until_open(server: &HttpServer, streams: usize) {
    let wanted = format!("satpost_http_event_streams {streams}\n");
    let url = format!("{}/metrics", server.operator_base());
    let mut metrics = String::new();
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        let answer = server.http.get(&url).send().await.unwrap();
        metrics = answer.text().await.unwrap();
        if metrics.contains(&wanted) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{metrics}");
}

/// Writes events of the chain into a server's log.
pub(crate) struct Chain<'s> {
    server: &'s HttpServer,
    log: StoredEventLog,
    end: Expected,
}

impl<'s> Chain<'s> {
    pub(crate) fn of(server: &'s HttpServer) -> Self {
        Self {
            server,
            log: StoredEventLog::new(Arc::new(server.store.clone())),
            end: Expected::NoStream,
        }
    }

    /// Appends events and waits until queries see them. Returns the position of the last.
    pub(crate) async fn append(&mut self, events: Vec<ChainEvent>) -> Position {
        let mut last = Position::START;
        for part in events.chunks(APPEND_EVENTS) {
            last = self.append_part(part).await.position;
        }
        assert!(self.server.read_model.wait_for(last, PATIENCE).await);
        last
    }

    async fn append_part(&mut self, part: &[ChainEvent]) -> Appended {
        let stream = StreamId::chain(Network::Regtest);
        loop {
            let events = part.iter().map(|event| self.new_event(event)).collect();
            let appended = self.log.append(&stream, self.end, events, Vec::new());
            match appended.await {
                Ok(appended) => {
                    self.end = Expected::Exact(appended.revision);
                    return appended;
                }
                // An earlier server has written.
                Err(LogError::Conflict { actual }) => {
                    self.end = actual.map_or(Expected::NoStream, Expected::Exact);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn new_event(&self, event: &ChainEvent) -> NewEvent {
        let mut id = [0; 16];
        hex::decode_to_slice(fresh(), &mut id).unwrap();
        NewEvent {
            id: EventId::new(id),
            event: event.clone().into(),
            metadata: Metadata {
                command_id: CommandId::new(id),
                request_digest: RequestDigest::new(id),
                recorded_at: self.server.now(),
            },
            payload: None,
        }
    }
}

/// The id of transaction `id`.
pub(crate) fn txid(id: u32) -> Txid {
    let mut bytes = [0; 32];
    bytes[28..].copy_from_slice(&id.to_be_bytes());
    Txid::new(bytes)
}

fn block_ref(height: u32) -> BlockRef {
    let mut bytes = [7; 32];
    bytes[28..].copy_from_slice(&height.to_be_bytes());
    BlockRef {
        height,
        hash: BlockHash::new(bytes),
    }
}

/// A block as the API shows it.
pub(crate) fn block(height: u32) -> Block {
    Block {
        height,
        hash: block_ref(height).hash.to_string(),
    }
}

fn script(address: &str) -> Script {
    let address: bitcoin::Address<_> = address.parse().unwrap();
    Script::new(address.assume_checked().script_pubkey().as_bytes()).unwrap()
}

/// 5,000 satoshi for `address`.
fn touch(address: &str) -> Touch {
    Touch {
        script_hash: script(address).hash(),
        received_sat: 5_000,
        spent_sat: 0,
        outputs: vec![(0, 5_000)],
    }
}

/// The transaction is in the mempool.
pub(crate) fn seen(id: u32, address: &str) -> ChainEvent {
    ChainEvent::TransactionSeen {
        txid: txid(id),
        touch: touch(address),
        inputs: Vec::new(),
        incarnation: 1,
        at: Timestamp::from_millis(1),
    }
}

/// The transaction is in the block at `height`.
pub(crate) fn confirmed(id: u32, address: &str, height: u32) -> ChainEvent {
    ChainEvent::TransactionConfirmed {
        txid: txid(id),
        touch: touch(address),
        inputs: Vec::new(),
        block: block_ref(height),
        index: 1,
        backfilled: false,
    }
}

/// The block at `height` was taken back.
pub(crate) fn unconfirmed(id: u32, address: &str, height: u32) -> ChainEvent {
    ChainEvent::TransactionUnconfirmed {
        txid: txid(id),
        script_hash: script(address).hash(),
        block: block_ref(height),
        was_final: false,
    }
}

/// The transaction has left the mempool.
pub(crate) fn evicted(id: u32, address: &str) -> ChainEvent {
    ChainEvent::TransactionEvicted {
        txid: txid(id),
        script_hash: script(address).hash(),
        incarnation: 1,
    }
}
