//! Interleaved rounds: every entry runs once a round, so that what disturbs the machine disturbs
//! all of them, and the ratio of two entries is taken within a round.

use super::BenchError;
use super::bench_folder::{self, BenchFolder};
use super::contender::Contender;
use super::report::Steps;
use super::workload::{self, Load, Round};

/// A contender under a load.
pub struct Entry<'a> {
    /// What it is called in the results.
    pub case: String,
    /// Who runs.
    pub contender: &'a dyn Contender,
    /// How much it has to do.
    pub load: Load,
}

impl<'a> Entry<'a> {
    /// Named after its contender and the number of writers.
    #[must_use]
    pub fn new(contender: &'a dyn Contender, load: Load) -> Self {
        Self {
            case: case(contender.name(), load.writers),
            contender,
            load,
        }
    }
}

/// How a contender with so many writers is called.
#[must_use]
pub fn case(contender: &str, writers: usize) -> String {
    let plural = if writers == 1 { "" } else { "s" };
    format!("{contender}, {writers} writer{plural}")
}

/// All rounds of one entry.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The name of the entry.
    pub case: String,
    /// One after another.
    pub rounds: Vec<Round>,
}

impl Summary {
    /// The middle of what the rounds say.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    /// The worst that any round says.
    #[must_use]
    pub fn highest(&self, of: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(of).fold(0.0, f64::max)
    }

    /// The least that any round says.
    #[must_use]
    pub fn lowest(&self, of: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(of).fold(f64::INFINITY, f64::min)
    }

    /// The middle of the ratios between this and another, round by round.
    #[must_use]
    pub fn ratio(&self, other: &Self, of: impl Fn(&Round) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect())
    }
}

/// The middle value; the mean of the two in the middle when there are two.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Runs all entries, `rounds` times, and gives a summary for each in the order of `entries`.
///
/// # Errors
/// The first failure of any entry.
pub async fn run(
    entries: &[Entry<'_>],
    rounds: usize,
    folder: &mut BenchFolder,
    steps: &Steps,
) -> Result<Vec<Summary>, BenchError> {
    let mut summaries: Vec<_> = entries
        .iter()
        .map(|entry| Summary {
            case: entry.case.clone(),
            rounds: Vec::with_capacity(rounds),
        })
        .collect();
    for round in 0..rounds {
        for step in 0..entries.len() {
            // Nobody is always the one that runs behind the same other.
            let number = if round % 2 == 0 {
                step
            } else {
                entries.len() - 1 - step
            };
            let entry = &entries[number];
            steps.begin(&format!("round {} of {rounds}: {}", round + 1, entry.case));
            let run = folder.fresh()?;
            let seed = round as u64 + 1;
            let seen = workload::run(entry.contender, &run, entry.load, seed).await?;
            summaries[number].rounds.push(seen);
            bench_folder::discard(&run)?;
            steps.done();
        }
    }
    Ok(summaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn one_writer_is_not_many() {
        assert_eq!(case("satpost", 1), "satpost, 1 writer");
        assert_eq!(case("satpost", 64), "satpost, 64 writers");
    }
}
