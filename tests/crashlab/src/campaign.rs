//! Which experiments there are, and how large they are in a campaign.

use std::path::Path;

use crate::report::Report;
use crate::storage_operations::{self, Options};
use crate::{byte_flips, controls, full_disk, kills, power_cuts, system_calls};

/// How many appends a script has.
const SCRIPT_APPENDS: usize = 24;

/// An experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Experiment {
    /// See [`controls`].
    Controls,
    /// See [`storage_operations`].
    StorageOperations,
    /// See [`byte_flips`].
    ByteFlips,
    /// See [`power_cuts`].
    PowerCuts,
    /// See [`full_disk`].
    FullDisk,
    /// See [`system_calls`].
    SystemCalls,
    /// See [`kills`].
    Kills,
}

impl Experiment {
    /// All of them, the quickest first.
    pub const ALL: [Self; 7] = [
        Self::Controls,
        Self::StorageOperations,
        Self::ByteFlips,
        Self::PowerCuts,
        Self::FullDisk,
        Self::SystemCalls,
        Self::Kills,
    ];

    /// How many rounds a whole campaign has.
    #[must_use]
    pub const fn campaign_rounds(self) -> u64 {
        match self {
            Self::Controls => 1,
            Self::StorageOperations => 20,
            Self::ByteFlips => 100_000,
            Self::PowerCuts => 2_000,
            Self::FullDisk => 20,
            Self::SystemCalls => 200,
            Self::Kills => 5_000,
        }
    }
}

/// Runs an experiment. `program` is the `crashlab` program itself.
#[must_use]
pub fn run(experiment: Experiment, rounds: u64, seed: u64, program: &Path) -> Report {
    match experiment {
        Experiment::Controls => controls::run(rounds, seed, program),
        Experiment::StorageOperations => {
            let mut report = Report::new("storage_operations", seed);
            for script in 0..rounds {
                let part = storage_operations::run(Options::new(seed + script, SCRIPT_APPENDS));
                report.seconds += part.seconds;
                report.join(part);
            }
            report.count("scripts", rounds);
            report
        }
        Experiment::ByteFlips => byte_flips::run(rounds, seed),
        Experiment::PowerCuts => power_cuts::run(&power_cuts::Options {
            rounds,
            seed,
            program: program.to_owned(),
            syncs: true,
        }),
        Experiment::FullDisk => full_disk::run(rounds, seed),
        Experiment::SystemCalls => system_calls::run(rounds, seed),
        Experiment::Kills => kills::run(rounds, seed),
    }
}
