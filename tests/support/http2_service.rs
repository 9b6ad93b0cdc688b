//! A service that speaks HTTP/2 from the first byte on loopback, as Apple and Google do behind TLS. It keeps
//! every request as it came, and answers what the test decides.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// Names in lower case with their values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Seen {
    /// The value of a header that is there exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// An answer with this status and body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The answer with another header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Decide = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A running service; it ends when this is dropped.
pub struct Http2Service {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

impl Http2Service {
    /// Starts on a free port; `decide` is asked about every request.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn start(decide: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let accepting = tokio::spawn(accept(listener, Arc::new(decide), Arc::clone(&seen)));
        Self {
            address,
            seen,
            accepting,
        }
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }
}

impl Drop for Http2Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, decide: Arc<Decide>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connection = 0;
    // The connections end with this task.
    let mut serving = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        serving.spawn(serve(
            stream,
            connection,
            Arc::clone(&decide),
            Arc::clone(&seen),
        ));
        connection += 1;
    }
}

/// Anything but HTTP/2 ends the connection at once.
async fn serve(stream: TcpStream, number: usize, decide: Arc<Decide>, seen: Arc<Mutex<Vec<Seen>>>) {
    let Ok(mut connection) = server::handshake(stream).await else {
        return;
    };
    let mut answering = tokio::task::JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (decide, seen) = (Arc::clone(&decide), Arc::clone(&seen));
        answering.spawn(answer(request, respond, number, decide, seen));
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: usize,
    decide: Arc<Decide>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(chunk)) = stream.data().await {
        body.extend_from_slice(&chunk);
        assert!(body.len() <= BODY_BYTES_MAX, "a push is short");
        stream
            .flow_control()
            .release_capacity(chunk.len())
            .expect("no more is released than came");
    }
    let headers = head.headers.iter().map(|(name, value)| {
        let value = value.to_str().expect("a header is visible ASCII");
        (name.as_str().to_owned(), value.to_owned())
    });
    let request = Seen {
        method: head.method.to_string(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers: headers.collect(),
        body,
        connection,
    };
    let reply = decide(&request);
    lock(&seen).push(request);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let response = response.body(()).expect("a test names real headers");
    // A client that has gone away wants no answer.
    if let Ok(mut send) = respond.send_response(response, reply.body.is_empty())
        && !reply.body.is_empty()
    {
        send.send_data(Bytes::from(reply.body), true).ok();
    }
}
