//! Reads the story out of the README: the `console` blocks.

use std::fs;
use std::path::Path;

/// A command of the story and what it must print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// What a reader types after `$`.
    pub command: String,
    /// Pieces of the lines below it, in order; `…` in the README stands for anything.
    pub expected: Vec<String>,
}

impl Step {
    /// True when `output` has every expected piece, in order.
    pub(crate) fn is_told_by(&self, output: &str) -> bool {
        let mut rest = output;
        self.expected.iter().all(|piece| match rest.find(piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

/// Every step of the README.
pub(crate) fn story() -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let steps = parse(&fs::read_to_string(path).unwrap());
    assert!(
        steps.len() > 10,
        "the story of the README is gone: {steps:?}"
    );
    steps
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_story = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_story = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_story) {
            steps.push(Step {
                command: command.to_owned(),
                expected: Vec::new(),
            });
        } else if in_story && let Some(step) = steps.last_mut() {
            let pieces = line
                .split('…')
                .map(str::trim)
                .filter(|piece| !piece.is_empty());
            step.expected.extend(pieces.map(str::to_owned));
        }
    }
    steps
}

#[test]
fn a_step_is_a_command_and_the_pieces_below_it() {
    let steps = parse("```console\n$ a b\n$ c\n… x … y\n```\n```sh\n$ not this\n```\n");
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].command, "a b");
    assert_eq!(steps[1].expected, ["x", "y"]);
    assert!(steps[1].is_told_by("1 x 2 y 3"));
    assert!(!steps[1].is_told_by("y x"));
}
