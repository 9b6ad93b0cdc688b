//! Controls: the laboratory is shown a log that breaks its word. Each must be reported, for a check
//! that cannot fail shows nothing.

use std::path::Path;
use std::time::Instant;

use crate::power_cuts;
use crate::report::Report;
use crate::simulated_disk::Dishonesty;
use crate::storage_operations::{self, Options, Store};

/// How long the scripts of the controls are.
const APPENDS: usize = 6;

fn with(seed: u64, change: impl FnOnce(&mut Options)) -> Report {
    let mut options = Options::new(seed, APPENDS);
    change(&mut options);
    storage_operations::run(options)
}

/// Whether losses are reported when files are not synced.
#[must_use]
pub fn notices_missing_syncs(seed: u64) -> bool {
    let dishonesty = Dishonesty {
        ignores_sync: true,
        ..Dishonesty::default()
    };
    with(seed, |options| options.dishonesty = dishonesty).lost > 0
}

/// Whether losses are reported when folders are not synced.
#[must_use]
pub fn notices_missing_folder_syncs(seed: u64) -> bool {
    let dishonesty = Dishonesty {
        ignores_sync_folder: true,
        ..Dishonesty::default()
    };
    with(seed, |options| options.dishonesty = dishonesty).lost > 0
}

/// Whether it is reported that a repeated append is carried out twice.
#[must_use]
pub fn notices_repeats_that_are_appended(seed: u64) -> bool {
    let report = with(seed, |options| options.store = Store::AppendsRepeats);
    report
        .listed
        .iter()
        .any(|fault| fault.contains("is there twice"))
}

/// Whether it is reported that an acknowledged erasure was not carried out.
#[must_use]
pub fn notices_erasures_that_are_not_carried_out(seed: u64) -> bool {
    let report = with(seed, |options| options.store = Store::KeepsErased);
    report
        .listed
        .iter()
        .any(|fault| fault.contains("is readable"))
}

/// Whether losses are reported when the power is cut under a writer that does not sync; nothing
/// when the power cannot be cut here.
///
/// # Errors
/// Why it cannot.
pub fn notices_power_cuts_without_syncs(seed: u64, program: &Path) -> Result<bool, String> {
    let report = power_cuts::run(&power_cuts::Options {
        rounds: 3,
        seed,
        program: program.to_owned(),
        syncs: false,
    });
    match report.not_run {
        Some(reason) => Err(reason),
        None => Ok(report.lost > 0),
    }
}

/// Runs all controls, `rounds` times.
#[must_use]
pub fn run(rounds: u64, seed: u64, program: &Path) -> Report {
    let started = Instant::now();
    let mut report = Report::new("controls", seed);
    for seed in (seed..).take(usize::try_from(rounds).unwrap_or(usize::MAX)) {
        let mut controls = vec![
            ("files that are not synced", notices_missing_syncs(seed)),
            (
                "folders that are not synced",
                notices_missing_folder_syncs(seed),
            ),
            (
                "repeats that are appended",
                notices_repeats_that_are_appended(seed),
            ),
            (
                "erasures that are not carried out",
                notices_erasures_that_are_not_carried_out(seed),
            ),
        ];
        match notices_power_cuts_without_syncs(seed, program) {
            Ok(noticed) => controls.push(("power cuts without syncs", noticed)),
            Err(reason) => report.fault(format_args!("power cuts are not run: {reason}")),
        }
        for (what, noticed) in controls {
            report.rounds += 1;
            report.count(
                "controls reported as failures, as they must be",
                noticed.into(),
            );
            if !noticed {
                report.fault(format_args!("{what}: not noticed"));
            }
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    report
}
