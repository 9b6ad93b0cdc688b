//! What an experiment found, in the words of Jepsen: what was acknowledged is ok or lost, and what
//! was never answered is unknown.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// How many faults of one experiment are listed; all are counted.
const FAULTS_LISTED_MAX: usize = 20;

/// The result of one experiment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Which experiment it was.
    pub experiment: String,
    /// How often something was broken.
    pub rounds: u64,
    /// What the rounds were made from; the same seed breaks the same things.
    pub seed: u64,
    /// Acknowledged appends that were found again, summed over all checks.
    pub ok: u64,
    /// Acknowledged appends that were not found again.
    pub lost: u64,
    /// Appends without an answer: each may be there or not, wholly.
    pub unknown: u64,
    /// What else was counted, by name.
    pub counts: BTreeMap<String, u64>,
    /// How many faults there were.
    pub faults: u64,
    /// The first faults.
    pub listed: Vec<String>,
    /// Why the experiment was not run, if it was not.
    pub not_run: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// An experiment that begins.
    #[must_use]
    pub fn new(experiment: &str, seed: u64) -> Self {
        Self {
            experiment: experiment.to_owned(),
            seed,
            ..Self::default()
        }
    }

    /// An experiment that cannot be run here.
    #[must_use]
    pub fn not_run(experiment: &str, reason: impl fmt::Display) -> Self {
        Self {
            not_run: Some(reason.to_string()),
            ..Self::new(experiment, 0)
        }
    }

    /// Takes over what a check found; `round` says which one it was.
    pub fn add(&mut self, round: &dyn fmt::Display, verdict: &Verdict) {
        self.ok += verdict.ok;
        self.lost += verdict.lost;
        self.unknown += verdict.unknown;
        for fault in &verdict.faults {
            self.fault(format_args!("{round}: {fault}"));
        }
    }

    /// Notes a fault.
    pub fn fault(&mut self, fault: impl fmt::Display) {
        self.faults += 1;
        if self.listed.len() < FAULTS_LISTED_MAX {
            self.listed.push(fault.to_string());
        }
    }

    /// Counts something.
    pub fn count(&mut self, what: &str, by: u64) {
        *self.counts.entry(what.to_owned()).or_default() += by;
    }

    /// Joins the result of another part of the same experiment.
    pub fn join(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.ok += other.ok;
        self.lost += other.lost;
        self.unknown += other.unknown;
        self.faults += other.faults;
        for (what, by) in other.counts {
            self.count(&what, by);
        }
        let room = FAULTS_LISTED_MAX - self.listed.len();
        self.listed.extend(other.listed.into_iter().take(room));
    }

    /// True when it was run and nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.not_run.is_none() && self.rounds > 0 && self.faults == 0
    }

    /// The largest share of faulty rounds that is still believable at 95 % after a clean run: the
    /// rule of three, 3/n.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of rounds are far below 2^52"
    )]
    pub fn bound(&self) -> Option<f64> {
        self.is_clean().then(|| (3.0 / self.rounds as f64).min(1.0))
    }
}

/// One line, and one more for each listed fault.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.experiment;
        if let Some(reason) = &self.not_run {
            return write!(f, "{name:<20} NOT RUN: {reason}");
        }
        write!(
            f,
            "{name:<20} n={:<7} ok={:<9} lost={} unknown={:<6} faults={} ({:.1} s, seed {})",
            self.rounds, self.ok, self.lost, self.unknown, self.faults, self.seconds, self.seed
        )?;
        if let Some(bound) = self.bound() {
            write!(f, ", at most {:.3} % a round at 95 %", bound * 100.0)?;
        }
        for (what, count) in &self.counts {
            write!(f, "\n    {what}: {count}")?;
        }
        for fault in &self.listed {
            write!(f, "\n    FAULT {fault}")?;
        }
        Ok(())
    }
}

/// What one check of a log against its history found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged appends that are there.
    pub ok: u64,
    /// Acknowledged appends that are not.
    pub lost: u64,
    /// Appends without an answer.
    pub unknown: u64,
    /// Every way in which the log broke its word; each lost append is one.
    pub faults: Vec<String>,
    /// What the log said when it could not be read; one of the faults.
    pub unreadable: Option<String>,
}

impl Verdict {
    /// Notes a fault.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }
}
