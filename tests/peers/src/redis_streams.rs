//! Redis with an append-only file that is synced before every answer. A script checks the length
//! of the stream, and adds to the stream and to a stream of all. Redis keeps everything in memory.

use std::path::Path;
use std::process::Command;

use async_trait::async_trait;
use redis::Script;
use redis::aio::MultiplexedConnection;
use rustix::process::Signal;
use satpost_infra::bench::BenchError;
use satpost_infra::bench::contender::{Answer, Contender, Running, Writer};

use crate::server::{Server, free_port};

const NAME: &str = "redis, appendfsync always";

/// A stream of its own for every stream; the stream of all names stream and revision.
const APPEND: &str = r"
local length = redis.call('XLEN', KEYS[1])
if length ~= tonumber(ARGV[1]) then return -1 end
local position = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], '*', 'id', ARGV[2], 'body', ARGV[3], 'position', position)
redis.call('XADD', KEYS[3], '*', 'stream', KEYS[1], 'revision', length)
return position
";

/// Redis as Debian has it.
pub(crate) struct Redis;

#[async_trait]
impl Contender for Redis {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn start(&self, folder: &Path) -> Result<Box<dyn Running>, BenchError> {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
            .arg(folder)
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
            ])
            // Rewriting the file in the middle of a round would be measured.
            .args(["--auto-aof-rewrite-percentage", "0"]);
        let server = Server::start(NAME, command, port, folder).await?;
        Ok(Box::new(RunningRedis(server)))
    }
}

struct RunningRedis(Server);

#[async_trait]
impl Running for RunningRedis {
    async fn writer(&self) -> Result<Box<dyn Writer>, BenchError> {
        let url = format!("redis://127.0.0.1:{}/", self.0.port);
        let client = redis::Client::open(url).map_err(BenchError::of(NAME))?;
        let connection = client.get_multiplexed_async_connection().await;
        Ok(Box::new(RedisWriter {
            connection: connection.map_err(BenchError::of(NAME))?,
            script: Script::new(APPEND),
        }))
    }

    fn server(&self) -> Option<u32> {
        Some(self.0.id())
    }

    async fn stop(self: Box<Self>) -> Result<(), BenchError> {
        self.0.stop(Signal::TERM).await
    }
}

struct RedisWriter {
    connection: MultiplexedConnection,
    script: Script,
}

#[async_trait]
impl Writer for RedisWriter {
    async fn append(
        &mut self,
        stream: &str,
        expected: Option<u64>,
        id: [u8; 16],
        body: Vec<u8>,
    ) -> Result<Answer, BenchError> {
        let mut call = self.script.key(stream);
        call.key("position")
            .key("all")
            .arg(expected.map_or(0, |revision| revision + 1))
            .arg(&id[..])
            .arg(body);
        let position = call.invoke_async::<i64>(&mut self.connection).await;
        match position.map_err(BenchError::of(NAME))? {
            -1 => Ok(Answer::Conflict),
            _ => Ok(Answer::Appended),
        }
    }
}
