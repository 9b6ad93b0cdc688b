//! What the server says about its own work, on standard error.
//!
//! Libraries below it describe at debug and trace level what they carry: an HTTP client the URL of a
//! push target, an RPC client scripts and passwords, an HTTP/2 client device tokens. Whatever the
//! filter says, they are heard from info level on only; the server's own crates promise for every
//! level that nothing of this is said.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, LoggingConfig};

/// What the targets of the server's own crates begin with.
const OWN: &str = "satpost";

/// Sets up logging for the whole process; a second call changes nothing.
///
/// # Errors
/// When the filter does not parse.
pub fn init(config: &LoggingConfig) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let outcome = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(may_be_heard))
        .with(lines)
        .try_init();
    if outcome.is_err() {
        tracing::debug!("logging was set up before");
    }
    Ok(())
}

/// Whether a line or a span may be shown when the filter asks for it.
fn may_be_heard(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(OWN)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn hears_its_own_crates_at_every_level_and_others_from_info_on() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry()
            .with(EnvFilter::new("trace"))
            .with(filter_fn(may_be_heard))
            .with(tracing_subscriber::fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "satpost_api::observe", "own trace");
            tracing::info!(target: "actix_server::builder", "other info");
            tracing::debug!(target: "reqwest::connect", "other debug");
            tracing::trace!(target: "hyper_util::client", "other trace");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.contains("own trace") && text.contains("other info"),
            "{text}"
        );
        assert!(
            !text.contains("other debug") && !text.contains("other trace"),
            "{text}"
        );
    }
}
