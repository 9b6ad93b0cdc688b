//! The operator's tools that move a log, explain it and rebuild what is made from it: the real binary
//! on real folders.

mod erasure;
mod explain;
mod rebuild;
mod sample;
mod transfer;

use std::ffi::OsStr;
use std::process::{Command, Output};

use satpost_tests::process::binaries;

/// Runs `satpostd`.
fn satpostd<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    let mut command = Command::new(binaries().join("satpostd"));
    command.args(arguments).output().unwrap()
}

/// Runs `satpostd`, which must succeed, and returns what it told.
fn told<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let output = satpostd(arguments);
    assert!(output.status.success(), "{}", complaint(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
