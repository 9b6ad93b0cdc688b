//! How far an experiment is, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The bar of one experiment. Gone when dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar of `rounds` rounds.
    pub(crate) fn new(experiment: &'static str, rounds: u64) -> Self {
        let style = ProgressStyle::with_template(
            "{prefix:20} {wide_bar} {pos}/{len} {per_sec} ready in {eta}",
        );
        let bar = ProgressBar::new(rounds).with_prefix(experiment);
        bar.set_style(style.expect("the template is right"));
        Self(bar)
    }

    /// One more round is over.
    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
