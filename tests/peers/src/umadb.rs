//! UmaDB, an event store with one file of pages. A stream is a tag; the condition of an append is
//! that no event with the tag follows the last one the writer knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use rustix::process::Signal;
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::{Answer, Contender, Running, Writer};
use umadb_client::AsyncUmaDbClient;
use umadb_dcb::{
    DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreAsync as _, DcbQuery, DcbQueryItem,
};
use uuid::Uuid;

use crate::server::{Server, free_port};

const NAME: &str = "umadb";

/// UmaDB with its defaults.
pub(crate) struct UmaDb {
    program: PathBuf,
}

impl UmaDb {
    pub(crate) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
        }
    }
}

#[async_trait]
impl Contender for UmaDb {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let port = free_port()?;
        let mut command = Command::new(&self.program);
        command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--db-path"])
            .arg(folder.join("events.db"));
        let server = Server::start(NAME, command, port, folder).await?;
        Ok(Box::new(RunningUmaDb(server)))
    }
}

struct RunningUmaDb(Server);

#[async_trait]
impl Running for RunningUmaDb {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let url = format!("http://127.0.0.1:{}", self.0.port);
        let client = AsyncUmaDbClient::connect(url, None, None, None).await;
        Ok(Box::new(UmaDbWriter {
            client: client.map_err(BenchError::of(NAME))?,
            last: None,
        }))
    }

    fn server(&self) -> Option<u32> {
        Some(self.0.id())
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        self.0.stop(Signal::TERM).await
    }
}

struct UmaDbWriter {
    client: AsyncUmaDbClient,
    /// The position of the last event of the stream.
    last: Option<u64>,
}

#[async_trait]
impl Writer for UmaDbWriter {
    /// Positions stand for revisions here, so `expected` is what this writer appended last.
    async fn append(
        &mut self,
        stream: &str,
        _expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let query = DcbQuery::new().item(DcbQueryItem::new().tags([stream]));
        let condition = DcbAppendCondition::new(query).after(self.last);
        let event = DcbEvent::new()
            .event_type("message_accepted")
            .tags([stream])
            .data(body)
            .uuid(Uuid::from_bytes(id));
        match self.client.append(vec![event], Some(condition), None).await {
            Ok(position) => {
                self.last = Some(position);
                Ok(Answer::Appended)
            }
            Err(DcbError::IntegrityError(_)) => Ok(Answer::Conflict),
            Err(error) => Err(BenchError::of(NAME)(error)),
        }
    }
}
