//! A WebSocket client of a few lines (RFC 6455) that can also send what no honest client would.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use satpost_api_types::live::{
    CBOR_PROTOCOL, ClientFrame, LiveDelivery, ProblemFrame, ServerFrame,
};
use satpost_tests::http_server::HttpServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;
use crate::api::wallet::Wallet;

pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xa;
/// Marks the last part of a message.
pub(super) const LAST: u8 = 0x80;

/// What comes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Frame(Box<ServerFrame>),
    Pong(Vec<u8>),
    /// The close code and text.
    Close(Option<u16>, String),
    /// The end of the connection.
    End,
}

/// An open socket.
pub(super) struct Client {
    stream: TcpStream,
    read: BytesMut,
    is_cbor: bool,
    /// Whether pings are answered.
    pub(super) is_alive: bool,
}

impl Client {
    /// Opens a socket and takes the greeting. Gives no credit.
    pub(super) async fn open(wallet: &Wallet, protocol: &str, server: &HttpServer) -> Self {
        let mut client = Self::connect(wallet, protocol, server, None).await;
        let ServerFrame::Hello {
            credit_max: 256, ..
        } = client.frame().await
        else {
            panic!("a socket begins with a greeting");
        };
        client
    }

    /// Opens a socket; the greeting is still to come. With `receive_bytes` its buffer is that small.
    pub(super) async fn connect(
        wallet: &Wallet,
        protocol: &str,
        server: &HttpServer,
        receive_bytes: Option<u32>,
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = socket.connect(server.address()).await.unwrap();
        let mut head = "GET /v1/ws HTTP/1.1\r\n".to_owned();
        for (name, value) in wallet.query("/v1/ws").sign(server) {
            writeln!(head, "{name}: {value}\r").unwrap();
        }
        for (name, value) in upgrade(protocol) {
            writeln!(head, "{name}: {value}\r").unwrap();
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut client = Self {
            stream,
            read: BytesMut::new(),
            is_cbor: protocol == CBOR_PROTOCOL,
            is_alive: true,
        };
        let answer = client.head().await;
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        let agreed = format!("sec-websocket-protocol: {protocol}\r\n");
        assert!(answer.contains(&agreed), "{answer}");
        client
    }

    /// The head of the answer, in lower case.
    async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.read.split_to(end + 4);
                return String::from_utf8(head.to_vec()).unwrap().to_lowercase();
            }
            assert!(self.fill().await, "the server answers");
        }
    }

    /// Reads on; false at the end of the connection.
    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        read.expect("something comes in time").unwrap_or(0) > 0
    }

    /// The next thing that is no ping; pings are answered while the client is alive. Dropping the
    /// future loses nothing.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            let Some((kind, payload)) = self.take() else {
                if self.fill().await {
                    continue;
                }
                return Heard::End;
            };
            match kind {
                TEXT if !self.is_cbor => {
                    return Heard::Frame(serde_json::from_slice(&payload).unwrap());
                }
                BINARY if self.is_cbor => {
                    return Heard::Frame(ciborium::from_reader(&payload[..]).unwrap());
                }
                PING if self.is_alive => self.send_raw(LAST | PONG, &payload).await,
                PING => {}
                PONG => return Heard::Pong(payload),
                CLOSE => {
                    let code = payload
                        .get(..2)
                        .map(|two| u16::from_be_bytes([two[0], two[1]]));
                    let text = payload.get(2..).unwrap_or_default();
                    return Heard::Close(code, String::from_utf8(text.to_vec()).unwrap());
                }
                kind => panic!("a message of kind {kind}"),
            }
        }
    }

    /// Takes a whole message out of what was read.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = &self.read[..];
        let (&[first, second], rest) = read.split_first_chunk()?;
        let (length, head) = match second {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let length = usize::try_from(length).unwrap();
        if read.len() < head + length {
            return None;
        }
        assert_eq!(
            first & LAST,
            LAST,
            "the server does not take messages apart"
        );
        self.read.advance(head);
        Some((first & 0x0f, self.read.split_to(length).to_vec()))
    }

    /// The next frame.
    pub(super) async fn frame(&mut self) -> ServerFrame {
        match self.hear().await {
            Heard::Frame(frame) => *frame,
            other => panic!("{other:?} instead of a frame"),
        }
    }

    /// The next frame, which is a message.
    pub(super) async fn message(&mut self) -> LiveDelivery {
        match self.frame().await {
            ServerFrame::Message(delivery) => delivery,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// The next frame, which is a problem.
    pub(super) async fn problem(&mut self) -> ProblemFrame {
        match self.frame().await {
            ServerFrame::Problem(problem) => problem,
            other => panic!("{other:?} instead of a problem"),
        }
    }

    /// True when nothing but pings comes for that long.
    pub(super) async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.hear()).await.is_err()
    }

    /// Reads to the end; the last frame, and the close code.
    pub(super) async fn rest(&mut self) -> (Option<ServerFrame>, Option<u16>) {
        let (mut last, mut code) = (None, None);
        loop {
            match self.hear().await {
                Heard::Frame(frame) => last = Some(*frame),
                Heard::Close(closed, _) => {
                    code = closed;
                    self.send_raw(LAST | CLOSE, &[]).await;
                }
                Heard::Pong(_) => {}
                Heard::End => return (last, code),
            }
        }
    }

    /// Sends a frame.
    pub(super) async fn send(&mut self, frame: &ClientFrame) {
        if self.is_cbor {
            let mut bytes = Vec::new();
            ciborium::into_writer(frame, &mut bytes).unwrap();
            self.send_raw(LAST | BINARY, &bytes).await;
        } else {
            let text = serde_json::to_vec(frame).unwrap();
            self.send_raw(LAST | TEXT, &text).await;
        }
    }

    /// Gives room for so many deliveries.
    pub(super) async fn credit(&mut self, n: u64) {
        self.send(&ClientFrame::Credit { n }).await;
    }

    /// Sends a part of a message. A mask of zeros leaves it as it is.
    pub(super) async fn send_raw(&mut self, kind: u8, payload: &[u8]) {
        let mut part = vec![kind];
        match payload.len() {
            short @ 0..126 => part.push(0x80 | u8::try_from(short).unwrap()),
            length => {
                part.push(0x80 | 126);
                part.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        part.extend([0; 4]);
        part.extend(payload);
        self.send_bytes(&part).await;
    }

    /// Sends bytes as they are. A server that has gone is its test's matter.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }
}

/// The headers that ask for a WebSocket.
pub(super) fn upgrade(protocol: &str) -> Vec<(&'static str, String)> {
    vec![
        ("connection", "Upgrade".to_owned()),
        ("upgrade", "websocket".to_owned()),
        ("sec-websocket-version", "13".to_owned()),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
        ("sec-websocket-protocol", protocol.to_owned()),
    ]
}
