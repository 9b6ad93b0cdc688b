//! The catalogue of all stored events, rendered from the registry so that it cannot go stale.

use std::fmt::Write as _;

use super::form::{Beside, Registered};
use super::{REGISTRY, codes, parts};

const INTRODUCTION: &str = "\
# Events

Everything that can happen, as it is stored. This page is rendered from the registry in
`infra/src/stored_event`; a test compares the two.

The body of an event is [postcard](https://postcard.jamesmunns.com/wire-format): its fields in this
order, integers as varints, ids and hashes as raw bytes, times as milliseconds since the Unix epoch,
and each closed set as one byte. A form that is listed here never changes: golden files in
`tests/fixtures/events/` pin its bytes. A change is a new version, and the old one stays readable.
";

/// The event catalogue as Markdown: the content of `docs/events.md`.
#[must_use]
pub fn catalogue() -> String {
    let mut page = String::from(INTRODUCTION);
    for (category, forms) in REGISTRY {
        line(&mut page, format_args!("\n## Stream `{category}-…`\n"));
        line(
            &mut page,
            format_args!("| event | version | meaning | body | beside the log |"),
        );
        line(&mut page, format_args!("|---|---|---|---|---|"));
        for form in forms {
            row(&mut page, form);
        }
    }
    line(&mut page, format_args!("\n## Parts\n"));
    line(&mut page, format_args!("| part | fields |\n|---|---|"));
    for (name, fields) in parts::ALL {
        line(&mut page, format_args!("| {name} | {} |", list(fields)));
    }
    line(&mut page, format_args!("\n## Closed sets\n"));
    line(&mut page, format_args!("| set | codes |\n|---|---|"));
    for (name, table) in codes::ALL {
        let codes: Vec<_> = table
            .iter()
            .map(|(code, meaning)| format!("{code} = {meaning}"))
            .collect();
        line(&mut page, format_args!("| {name} | {} |", codes.join(", ")));
    }
    page
}

fn row(page: &mut String, form: &Registered) {
    let beside = match form.beside {
        Beside::Nothing => String::new(),
        Beside::Sealed(what) => format!("{what} (sealed part)"),
        Beside::Payload(what) => format!("{what} (payload)"),
    };
    let (meaning, fields) = (form.meaning.trim(), list(form.fields));
    line(
        page,
        format_args!(
            "| {} | {} | {meaning} | {fields} | {beside} |",
            form.kind, form.schema
        ),
    );
}

fn list(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, form)| format!("`{name}: {form}`"))
        .collect();
    fields.join(", ")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes all that memory holds");
}
