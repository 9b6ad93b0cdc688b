//! Good lines and bad ones.

use satpost_domain::limits::BIRTHDAY_AHEAD_BLOCKS_MAX;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const RULES: LineRules = LineRules {
    network: Network::Regtest,
    bounds: WatchBounds::new(Network::Regtest, Some(100)),
    now: NOW,
};

fn codes(lines: &ImportLines) -> Vec<(usize, &str)> {
    let errors = lines.refusals.errors.iter();
    errors
        .map(|error| (error.line, error.code.as_str()))
        .collect()
}

#[test]
fn takes_every_form_and_skips_empty_lines() {
    let body = "\"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080\"\r\n\n  \n\
        {\"script\":\"51\",\"birthday\":{\"height\":7}}\n\
        {\"script_hash\":\"0000000000000000000000000000000000000000000000000000000000000000\"}";
    let lines = read_lines(body.as_bytes(), &RULES).unwrap();
    assert_eq!(lines.numbers, [1, 4, 5]);
    assert_eq!(lines.watches.len(), 3);
    assert_eq!(lines.refusals.count, 0);
}

#[test]
fn counts_each_bad_line_and_says_what_is_wrong_with_it() {
    let far = 101 + BIRTHDAY_AHEAD_BLOCKS_MAX;
    let long = "a".repeat(IMPORT_LINE_BYTES_MAX);
    let body = format!(
        "\"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\"\n\
         {{\"script\":\"51\"}}\n\
         {{\"script\":\"51\",\n\
         \"{long}\"\n\
         {{\"script\":\"51\",\"depths\":[0]}}\n\
         {{\"script\":\"51\",\"birthday\":{{\"height\":{far}}}}}\n\
         {{\"script\":\"51\"}} {{\"script\":\"52\"}}\n\
         {{\"script\":\"52\"}}\n\
         {{\"script\":\"5"
    );
    let lines = read_lines(body.as_bytes(), &RULES).unwrap();
    assert_eq!(lines.numbers, [2, 8]);
    assert_eq!(lines.refusals.count, 7);
    let expected = [
        (1, "invalid-address"),
        (3, "malformed"),
        (4, "too-large"),
        (5, "invalid-depths"),
        (6, "invalid-birthday"),
        (7, "malformed"),
        (9, "malformed"),
    ];
    assert_eq!(codes(&lines), expected);
}

#[test]
fn explains_only_the_first_bad_lines() {
    let body = "\"x\"\n".repeat(IMPORT_ERRORS_MAX + 5);
    let lines = read_lines(body.as_bytes(), &RULES).unwrap();
    assert_eq!(lines.refusals.count, IMPORT_ERRORS_MAX + 5);
    assert_eq!(lines.refusals.errors.len(), IMPORT_ERRORS_MAX);
}

#[test]
fn refuses_no_lines_and_too_many() {
    let many = "1\n".repeat(IMPORT_LINES_MAX + 1);
    for body in ["", "\n \r\n", many.as_str()] {
        let error = read_lines(body.as_bytes(), &RULES).unwrap_err();
        assert_eq!(error.code, ProblemCode::LimitExceeded);
        assert_eq!(error.limit, Some(IMPORT_LINES_MAX as u64));
    }
    let most = "1\n".repeat(IMPORT_LINES_MAX);
    assert!(read_lines(most.as_bytes(), &RULES).is_ok());
}
