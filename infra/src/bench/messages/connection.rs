//! One HTTP/1.1 connection that is kept open, with as little work as possible: the generator shares
//! its processors with the server.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection. Requests go one after another.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What the server said.
pub(super) struct Answer<'c> {
    /// The HTTP status.
    pub(super) status: u16,
    head: &'c str,
    /// The bytes after the head.
    pub(super) body: &'c [u8],
}

impl Answer<'_> {
    /// The value of the header with this name, lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends a whole request and waits for the whole answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.send(request).await?;
        self.received.clear();
        let head_end = loop {
            if let Some(end) = find_end_of_head(&self.received) {
                break end;
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err(malformed("the head of the answer has no end"));
            }
            self.receive().await?;
        };
        let text = self.head(head_end)?;
        let status = text.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| malformed("the answer has no status"))?;
        if header(text, "transfer-encoding").is_some() {
            return Err(malformed("the answer comes in chunks"));
        }
        let length = header(text, "content-length").map(str::parse::<usize>);
        let length = length.transpose().map_err(io::Error::other)?.unwrap_or(0);
        while self.received.len() < head_end + length {
            self.receive().await?;
        }
        Ok(Answer {
            status,
            head: self.head(head_end)?,
            body: &self.received[head_end..head_end + length],
        })
    }

    /// Sends a whole request and waits for nothing.
    pub(super) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }

    fn head(&self, end: usize) -> io::Result<&str> {
        std::str::from_utf8(&self.received[..end]).map_err(io::Error::other)
    }

    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Where the body begins.
fn find_end_of_head(received: &[u8]) -> Option<usize> {
    let blank = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(blank + 4)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn reads_one_answer_after_another_however_the_bytes_come() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            for byte in b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nX-Who: me\r\n\r\nabc" {
                stream.write_all(&[*byte]).await.unwrap();
                stream.flush().await.unwrap();
            }
            stream.read_exact(&mut request).await.unwrap();
            let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(empty).await.unwrap();
            request
        });
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.ask(b"one\n").await.unwrap();
        assert_eq!((answer.status, answer.body), (201, &b"abc"[..]));
        assert_eq!(answer.header("x-who"), Some("me"));
        let answer = connection.ask(b"two\n").await.unwrap();
        assert_eq!((answer.status, answer.body), (204, &b""[..]));
        assert_eq!(&server.await.unwrap(), b"two\n");
    }
}
