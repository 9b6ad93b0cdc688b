//! The bounded part of the crash laboratory: the same experiments as `make crashlab`, as small as a
//! change can wait for. `SATPOST_CRASHLAB_SEED` and the name of a test make a run come again.
//!
//! | test | size |
//! |---|---|
//! | storage operations | one script of 10 appends: each of its operations, in each way |
//! | byte flips | 1,000 bytes |
//! | power cuts | 20 cuts on 2 images |
//! | kills | 20 kills (`SATPOST_CRASH_ROUNDS`) |
//! | system calls | 4 failing calls, one of each kind |
//! | full disk | 1 disk |
//! | controls | one of each |
//!
//! Nothing is skipped in silence: what cannot be run here fails, unless
//! `SATPOST_WITHOUT_POWER_CUTS=1` (loop devices, tmpfs) or `SATPOST_WITHOUT_STRACE=1` says that it is
//! known; then the test says loudly what was not run.

#![allow(
    clippy::print_stdout,
    reason = "figures belong into the output of a test, and so does what was not run"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test at the edge reads the clock and the environment"
)]

use std::path::Path;

use satpost_crashlab::report::Report;
use satpost_crashlab::storage_operations::{self, Options};
use satpost_crashlab::{byte_flips, controls, full_disk, kills, power_cuts, system_calls};

/// Set where only power cuts and full disks cannot be had: no root, no loop devices.
const WITHOUT_POWER_CUTS: &str = "SATPOST_WITHOUT_POWER_CUTS";
/// Set where there is no `strace` or it may not attach.
const WITHOUT_STRACE: &str = "SATPOST_WITHOUT_STRACE";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}"))
    })
}

fn seed() -> u64 {
    setting("SATPOST_CRASHLAB_SEED", u64::from(std::process::id()))
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_crashlab"))
}

fn assert_clean(report: &Report) {
    println!("{report}");
    assert!(
        report.is_clean(),
        "SATPOST_CRASHLAB_SEED={}\n{report}",
        report.seed
    );
}

/// True when it is known that this cannot be run here, said so that nobody can miss it.
fn is_waived(reason: &str, what: &str, waiver: &str) -> bool {
    let waived = std::env::var_os(waiver).is_some_and(|value| value == "1");
    let banner = "!".repeat(80);
    println!("{banner}\nNOT RUN: {what}: {reason}\n{banner}");
    assert!(
        waived,
        "{what} cannot be run here: {reason}. Run as root where there is what is missing, or set \
         {waiver}=1 to go on without it."
    );
    waived
}

fn assert_clean_or_waived(report: &Report, waiver: &str) {
    match &report.not_run {
        Some(reason) => assert!(is_waived(reason, &report.experiment, waiver)),
        None => assert_clean(report),
    }
}

#[test]
fn every_failing_storage_operation_leaves_what_was_acknowledged() {
    let report = storage_operations::run(Options::new(seed(), 10));
    assert_clean(&report);
    let operations = report.counts["storage operations of the script"];
    assert!(operations > 150, "the script does too little: {operations}");
    // Threads in the background do not do the same in every run, however often it is repeated.
    let missed = report.counts.get("operations that did not come again");
    let missed = missed.copied().unwrap_or_default();
    assert!(
        missed * 25 <= report.rounds,
        "too few were made to fail: {missed} did not come again"
    );
}

#[test]
fn a_changed_byte_is_refused_or_means_nothing() {
    let report = byte_flips::run(1_000, seed());
    assert_clean(&report);
    // About half of them, as the bytes are drawn.
    assert!(report.counts["refused at opening"] > 400);
}

#[test]
fn a_changed_byte_of_the_last_batch_is_not_taken_for_a_torn_write() {
    let report = byte_flips::run_over_the_last_batch(seed());
    assert_clean(&report);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let report = power_cuts::run(&power_cuts::Options {
        rounds: 20,
        seed: seed(),
        program: program().to_owned(),
        syncs: true,
    });
    assert_clean_or_waived(&report, WITHOUT_POWER_CUTS);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let rounds = setting("SATPOST_CRASH_ROUNDS", 20);
    let seed = setting("SATPOST_CRASH_SEED", seed());
    assert_clean(&kills::run(rounds, seed));
}

#[test]
fn the_server_stops_when_a_system_call_fails_and_loses_nothing() {
    let report = system_calls::run(4, seed());
    assert_clean_or_waived(&report, WITHOUT_STRACE);
}

#[test]
fn the_server_goes_on_reading_on_a_full_disk_and_writes_again_when_there_is_room() {
    let report = full_disk::run(1, seed());
    assert_clean_or_waived(&report, WITHOUT_POWER_CUTS);
}

#[test]
fn files_that_are_not_synced_are_noticed() {
    assert!(controls::notices_missing_syncs(seed()));
}

#[test]
fn folders_that_are_not_synced_are_noticed() {
    assert!(controls::notices_missing_folder_syncs(seed()));
}

#[test]
fn repeats_that_are_appended_are_noticed() {
    assert!(controls::notices_repeats_that_are_appended(seed()));
}

#[test]
fn erasures_that_are_not_carried_out_are_noticed() {
    assert!(controls::notices_erasures_that_are_not_carried_out(seed()));
}

#[test]
fn power_cuts_without_syncs_are_noticed() {
    match controls::notices_power_cuts_without_syncs(seed(), program()) {
        Ok(noticed) => assert!(noticed, "a writer that does not sync was not noticed"),
        Err(reason) => assert!(is_waived(&reason, "power_cuts", WITHOUT_POWER_CUTS)),
    }
}
