//! When the server stops: on SIGTERM or SIGINT, or when its log can no longer be trusted.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` on the first SIGTERM or SIGINT. A second signal ends the process at once, with
/// the exit code a shell gives to an interrupted program.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signals(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!(signal = name, "stopping; a second signal stops at once");
        stop.cancel();
        next().await;
        std::process::exit(130);
    });
    Ok(())
}
