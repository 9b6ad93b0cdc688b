//! What HTTP itself costs here: an unsigned read from memory on connections like those of senders.

use std::path::Path;

use async_trait::async_trait;

use super::connection::Connection;
use super::server::BenchServer;
use crate::bench::BenchError;
use crate::bench::contender::{Answer, Contender, Running, Writer};

const NAME: &str = "unsigned read over HTTP";

/// The server over HTTP, asked for what it always knows.
pub(super) struct ReadOverHttp;

#[async_trait]
impl Contender for ReadOverHttp {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        Ok(Box::new(RunningServer(BenchServer::start(folder).await?)))
    }
}

struct RunningServer(BenchServer);

#[async_trait]
impl Running for RunningServer {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let connection = Connection::open(self.0.address).await;
        let request = format!(
            "GET /v1/info HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.0.authority
        );
        Ok(Box::new(Reader {
            connection: connection.map_err(BenchError::of(NAME))?,
            request,
        }))
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        self.0.stop().await
    }
}

struct Reader {
    connection: Connection,
    request: String,
}

#[async_trait]
impl Writer for Reader {
    async fn append(
        &mut self,
        _stream: &str,
        _expected: Option<u64>,
        _id: [u8; 16],
        _body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let answer = self.connection.ask(self.request.as_bytes()).await;
        match answer.map_err(BenchError::of(NAME))?.status {
            200 => Ok(Answer::Appended),
            status => Err(BenchError::of(NAME)(format!("the answer is {status}"))),
        }
    }
}
