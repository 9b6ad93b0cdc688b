//! The push service of the tests as a program, for `make run`.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use satpost_tests::push_service::PushService;
use tokio::signal::unix::{SignalKind, signal};

/// A push service (RFC 8030) for development: it keeps everything in memory.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:8422")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen } = Arguments::parse();
    anyhow::ensure!(
        listen.ip().is_loopback(),
        "the push service listens on loopback only, not on {listen}"
    );
    let mut terminate = signal(SignalKind::terminate())?;
    let service = PushService::start_on(listen)
        .with_context(|| format!("the push service cannot listen on {listen}"))?;
    writeln!(
        std::io::stdout(),
        "the push service listens on {}",
        service.url()
    )?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
