//! PostgreSQL with one table of events, as most stores on it have: a stream and a revision are
//! unique, an id is unique, and a position is drawn from a sequence. Every append is a transaction.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::Signal;
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::{Answer, Contender, Running, Writer};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::server::{Server, free_port};

const NAME: &str = "postgresql, one table";

/// How long it may take to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

const TABLE: &str = "
CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    revision bigint NOT NULL,
    id uuid NOT NULL UNIQUE,
    body bytea NOT NULL,
    UNIQUE (stream, revision)
)";

/// Adds nothing when the event before is not there.
const APPEND: &str = "
INSERT INTO events (stream, revision, id, body)
SELECT $1, $2::bigint, $3, $4
WHERE $2::bigint = 0 OR EXISTS (SELECT 1 FROM events WHERE stream = $1 AND revision = $2::bigint - 1)";

/// Durable (which is the default, and said here), with room for all writers and without a
/// checkpoint in the middle of a round.
const SETTINGS: [&str; 8] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=1100",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
];

/// PostgreSQL as Debian has it.
pub(crate) struct Postgres {
    programs: PathBuf,
}

impl Postgres {
    pub(crate) fn new(programs: &Path) -> Self {
        Self {
            programs: programs.to_owned(),
        }
    }

    /// A command of PostgreSQL: not as root, which it refuses.
    fn command(&self, program: &str, owner: Option<(u32, u32)>) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some((user, group)) = owner {
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }

    /// Starts it with new data in `folder` that has these tables.
    pub(crate) async fn serve(&self, folder: &Path, tables: &str) -> Result<Server, BenchError> {
        let (owner, data) = (owner(), folder.join("data"));
        fs::create_dir(&data).map_err(BenchError::io("make", &data))?;
        if let Some((user, group)) = owner {
            chown(&data, Some(user), Some(group)).map_err(BenchError::io("give away", &data))?;
        }
        let mut init = self.command("initdb", owner);
        init.args([
            "--auth=trust",
            "--username=bench",
            "--encoding=UTF8",
            "--no-sync",
            "-D",
        ])
        .arg(&data)
        .stdout(Stdio::null());
        let made = init.output().map_err(BenchError::of(NAME))?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(BenchError::of(NAME)(said));
        }
        let port = free_port()?;
        let mut command = self.command("postgres", owner);
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let server = Server::start(NAME, command, port, folder).await?;
        let client = connect_when_ready(port).await?;
        client.batch_execute(tables).await.map_err(failed)?;
        Ok(server)
    }
}

/// The user `postgres`, when this program runs as root.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[async_trait]
impl Contender for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        Ok(Box::new(RunningPostgres(self.serve(folder, TABLE).await?)))
    }
}

/// What went wrong stands in the cause, not in the error itself.
pub(crate) fn failed(error: tokio_postgres::Error) -> BenchError {
    let cause = error.as_db_error().map(ToString::to_string);
    BenchError::of(NAME)(cause.unwrap_or_else(|| error.to_string()))
}

/// It listens before it is ready, and says so.
async fn connect_when_ready(port: u16) -> Result<Client, BenchError> {
    let began = Instant::now();
    loop {
        match connect(port).await {
            Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {
                if began.elapsed() > START_TIMEOUT {
                    return Err(failed(error));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            connected => return connected.map_err(failed),
        }
    }
}

pub(crate) async fn connect(port: u16) -> Result<Client, tokio_postgres::Error> {
    let target = format!("host=127.0.0.1 port={port} user=bench dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&target, NoTls).await?;
    // Ends with the client; a failure shows in the next call of the client.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

struct RunningPostgres(Server);

#[async_trait]
impl Running for RunningPostgres {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let client = connect(self.0.port).await.map_err(failed)?;
        let append = client.prepare(APPEND).await.map_err(failed)?;
        Ok(Box::new(PostgresWriter { client, append }))
    }

    fn server(&self) -> Option<u32> {
        Some(self.0.id())
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        // "Fast shutdown" in the words of PostgreSQL: in good order, without waiting for clients.
        self.0.stop(Signal::INT).await
    }
}

struct PostgresWriter {
    client: Client,
    append: Statement,
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn append(
        &mut self,
        stream: &str,
        expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let revision = expected.map_or(0, |revision| revision + 1);
        let revision = i64::try_from(revision).map_err(BenchError::of(NAME))?;
        let id = Uuid::from_bytes(id);
        let values: [&(dyn ToSql + Sync); 4] = [&stream, &revision, &id, &body];
        match self.client.execute(&self.append, &values).await {
            Ok(1) => Ok(Answer::Appended),
            Ok(_) => Ok(Answer::Conflict),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Answer::Conflict),
            Err(error) => Err(failed(error)),
        }
    }
}
