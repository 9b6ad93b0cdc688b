//! The Electrum protocol's connections: lines of JSON-RPC, and a push for each new tip.

use std::net::TcpListener;
use std::sync::Arc;

use satpost_api::esplora::ChainQuery;
use satpost_domain::limits::{ELECTRUM_CONNECTIONS_MAX, ELECTRUM_LINE_BYTES_MAX};
use satpost_domain::network::Network;
use serde_json::Value;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::methods::Electrum;

/// Serves until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    chain: Arc<dyn ChainQuery>,
    network: Network,
    stop: CancellationToken,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(ELECTRUM_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection of the Electrum protocol was not accepted");
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let electrum = Electrum::new(Arc::clone(&chain), network);
        connections.spawn(async move {
            if let Err(error) = talk(stream, electrum).await {
                tracing::debug!(%error, "a connection of the Electrum protocol ended");
            }
            drop(permit);
        });
    }
}

async fn talk(stream: TcpStream, mut electrum: Electrum) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut changes = electrum.changes();
    let mut line = Vec::new();
    loop {
        let mut answer = tokio::select! {
            read = read_line(&mut reader, &mut line) => {
                if !read? {
                    return Ok(());
                }
                let answer = electrum.answer(&line).await;
                line.clear();
                answer
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                electrum.new_tip().await
            }
        };
        if let Some(message) = answer.take() {
            writer.write_all(&line_of(&message)).await?;
        }
    }
}

fn line_of(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Reads on to the end of a line; what was read before a cancellation stays in `line`. False at
/// the end of the connection.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let room = ELECTRUM_LINE_BYTES_MAX.saturating_sub(line.len());
    let room = u64::try_from(room).unwrap_or(u64::MAX);
    reader.take(room).read_until(b'\n', line).await?;
    if line.ends_with(b"\n") {
        return Ok(true);
    }
    if line.len() >= ELECTRUM_LINE_BYTES_MAX {
        return Err(std::io::Error::other("a line is too long"));
    }
    Ok(false)
}
