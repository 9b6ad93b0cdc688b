//! Progress of long work: a bar with a rate for people, a line now and then where there is no terminal.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use satpost_domain::Position;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Counts events towards a position of the embedded log, where positions count events.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
    last_line: Instant,
    with_lines: bool,
}

impl Progress {
    /// Starts at event 0 of `end`. Everything goes to standard error.
    #[expect(
        clippy::disallowed_methods,
        reason = "progress is shown in real time and decides nothing"
    )]
    pub(super) fn new(end: Position) -> Self {
        let style = ProgressStyle::with_template(
            "{bar:30} {human_pos} of {human_len} events, {per_sec}, {eta} left",
        )
        .expect("the template is well formed");
        let now = Instant::now();
        Self {
            bar: ProgressBar::new(end.major()).with_style(style),
            started: now,
            last_line: now,
            with_lines: !std::io::stderr().is_terminal(),
        }
    }

    /// Everything up to `position` was worked on.
    #[expect(
        clippy::disallowed_methods,
        reason = "progress is shown in real time and decides nothing"
    )]
    pub(super) fn reach(&mut self, position: Position) {
        self.bar.set_position(position.major());
        if self.with_lines && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            tell_line(position);
        }
    }

    /// Removes the bar; how fast `events` were worked on.
    #[expect(
        clippy::disallowed_methods,
        reason = "progress is shown in real time and decides nothing"
    )]
    pub(super) fn finish(self, events: u64) -> Rate {
        self.bar.finish_and_clear();
        Rate {
            events,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

#[expect(clippy::print_stderr, reason = "progress of a command-line tool")]
fn tell_line(position: Position) {
    eprintln!("at position {position}");
}

/// How much was done in which time.
pub(super) struct Rate {
    /// Events worked on.
    pub events: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// Counts bytes towards an end that is known once work has begun. May be told from several threads.
pub(super) struct ByteProgress {
    bar: ProgressBar,
    started: Instant,
}

impl ByteProgress {
    /// Everything goes to standard error, and nothing where that is no terminal.
    #[expect(
        clippy::disallowed_methods,
        reason = "progress is shown in real time and decides nothing"
    )]
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template(
            "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        )
        .expect("the template is well formed");
        Self {
            bar: ProgressBar::new(0).with_style(style),
            started: Instant::now(),
        }
    }

    /// So many bytes of so many are done.
    pub(super) fn reach(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Removes the bar; how many seconds it took.
    #[expect(
        clippy::disallowed_methods,
        reason = "progress is shown in real time and decides nothing"
    )]
    pub(super) fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.started.elapsed().as_secs_f64()
    }
}

impl Rate {
    /// Events a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn per_second(&self) -> f64 {
        self.events as f64 / self.seconds.max(1e-6)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} events in {:.2} s ({:.0} events/s)",
            HumanCount(self.events),
            self.seconds,
            self.per_second()
        )
    }
}
