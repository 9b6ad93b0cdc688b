//! The only place that prints: results on standard output, failures on standard error.
#![expect(clippy::print_stderr, reason = "printing is what this module is for")]

use std::io::Write as _;

use serde_json::{Value, json};

use crate::exit;

/// How results are shown.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or one JSON object a line for programs.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Shows one result: `text` to people, `value` to programs.
    pub(crate) fn show(&self, text: &str, value: &Value) {
        let mut stdout = std::io::stdout().lock();
        let written = if self.json {
            writeln!(stdout, "{value}")
        } else if text.is_empty() {
            Ok(())
        } else {
            writeln!(stdout, "{text}")
        };
        if written.is_err() {
            // The reader went away (`… | head`). What is shown is on disk already, and following
            // for nobody must end.
            std::process::exit(i32::from(exit::OTHER));
        }
    }

    /// Shows a hint that programs do not need.
    pub(crate) fn hint(&self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Shows why something failed, with every cause.
    pub(crate) fn failure(&self, error: &anyhow::Error) {
        if self.json {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("{}", json!({ "error": causes[0], "causes": causes[1..] }));
        } else {
            eprintln!("satpost: {error:#}");
        }
    }
}
