//! Documents that are written by the code must be what the code would write.

use std::fs;

use crate::documents::checkout;

/// Compares a generated document, or writes it when `UPDATE_DOCS=1`.
fn assert_generated(path: &str, expected: &str) {
    let file = checkout().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, expected).unwrap();
    }
    let actual = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        actual == expected,
        "{path} is not what the code would write; run `make docs` and commit the result"
    );
}

#[test]
fn the_configuration_reference_is_current() {
    assert_generated("docs/config.md", &satpost_infra::config::reference());
}

#[test]
fn the_event_catalogue_is_current() {
    assert_generated("docs/events.md", &satpost_infra::stored_event::catalogue());
}

#[test]
fn the_openapi_document_is_current() {
    let mut document = satpost_api::openapi::openapi()
        .to_pretty_json()
        .expect("the document is plain JSON");
    document.push('\n');
    assert_generated("docs/openapi.json", &document);
}
