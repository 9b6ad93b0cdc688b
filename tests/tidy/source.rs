//! The shape of source files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::documents::{checkout, tracked_files};

/// A file past this length holds more than one idea.
const LINES_MAX: usize = 500;

/// Domain files that may use serde; see docs/adr/0001-identifiers-carry-serde.md.
const DOMAIN_FILES_WITH_SERDE: [&str; 4] = [
    "domain/src/envelope.rs",
    "domain/src/ids.rs",
    "domain/src/keys.rs",
    "domain/src/time.rs",
];

fn rust_files() -> Vec<PathBuf> {
    let files: Vec<_> = tracked_files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    assert!(
        files.len() > 50,
        "the list of source files is not complete: {}",
        files.len()
    );
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(checkout().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_module_says_what_it_is() {
    for path in rust_files() {
        let text = read(&path);
        assert!(
            text.starts_with("//!"),
            "{} does not start with a module comment",
            path.display()
        );
    }
}

#[test]
fn files_are_read_in_one_sitting() {
    for path in rust_files() {
        let lines = read(&path).lines().count();
        assert!(
            lines <= LINES_MAX,
            "{} has {lines} lines; split it by idea (at most {LINES_MAX})",
            path.display()
        );
    }
}

#[test]
fn only_identifiers_of_the_domain_carry_serde() {
    for path in rust_files() {
        if !path.starts_with("domain/src") {
            continue;
        }
        let allowed = DOMAIN_FILES_WITH_SERDE
            .iter()
            .any(|file| path == Path::new(file));
        assert!(
            allowed || !read(&path).contains("serde"),
            "{} uses serde; see docs/adr/0001-identifiers-carry-serde.md",
            path.display()
        );
    }
}

#[test]
fn no_test_is_ignored() {
    let attribute = concat!("#[", "ignore");
    for path in rust_files() {
        assert!(
            !read(&path).contains(attribute),
            "{} ignores a test; make it run or delete it",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_to_be_done_in_a_comment() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    for path in rust_files() {
        let text = read(&path);
        for mark in marks {
            assert!(!text.contains(mark), "{} says {mark}", path.display());
        }
    }
}
