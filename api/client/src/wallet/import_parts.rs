//! A long import in parts that a slow line can send within the server's time for a body.

use std::io::{self, BufRead, Read as _};

use satpost_api_types::addresses::ImportAddressesResponse;
use satpost_domain::limits::{IMPORT_ERRORS_MAX, IMPORT_LINE_BYTES_MAX};

/// How many lines one part has at most.
const PART_LINES: usize = 20_000;
/// At how many bytes a part ends.
const PART_BYTES: usize = 1024 * 1024;

/// Some lines, as they are sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImportPart {
    pub(super) bytes: Vec<u8>,
    /// How many lines came before this part.
    pub(super) lines_before: usize,
}

/// Cuts lines into parts.
pub(super) struct ImportParts<R> {
    lines: R,
    lines_before: usize,
}

impl<R: BufRead> ImportParts<R> {
    pub(super) const fn new(lines: R) -> Self {
        Self {
            lines,
            lines_before: 0,
        }
    }

    /// The next part; nothing at the end. Parts of nothing but empty lines are left out: the server
    /// takes none.
    pub(super) fn next_part(&mut self) -> io::Result<Option<ImportPart>> {
        loop {
            let lines_before = self.lines_before;
            let mut bytes = Vec::new();
            let mut lines = 0;
            while lines < PART_LINES && bytes.len() < PART_BYTES && self.take_line(&mut bytes)? {
                lines += 1;
            }
            self.lines_before += lines;
            if lines == 0 {
                return Ok(None);
            }
            if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Ok(Some(ImportPart {
                    bytes,
                    lines_before,
                }));
            }
        }
    }

    /// Reads one line, ended by a line feed. Of one that is too long comes just enough for the
    /// server to say so.
    fn take_line(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let start = bytes.len();
        let max = IMPORT_LINE_BYTES_MAX as u64 + 2;
        let read = self.lines.by_ref().take(max).read_until(b'\n', bytes)?;
        if read == 0 {
            return Ok(false);
        }
        if bytes.last() != Some(&b'\n') {
            if bytes.len() - start > IMPORT_LINE_BYTES_MAX {
                self.lines.skip_until(b'\n')?;
            }
            bytes.push(b'\n');
        }
        Ok(true)
    }
}

/// Adds what became of one part to the sum of those before.
pub(super) fn add_part(
    sum: &mut ImportAddressesResponse,
    part: ImportAddressesResponse,
    lines_before: usize,
) {
    sum.lines += part.lines;
    sum.added += part.added;
    sum.changed += part.changed;
    sum.unchanged += part.unchanged;
    sum.refused += part.refused;
    for mut error in part.errors {
        error.line += lines_before;
        if sum.errors.len() < IMPORT_ERRORS_MAX {
            sum.errors.push(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use satpost_api_types::addresses::ImportError;

    use super::*;

    fn parts(text: &[u8]) -> Vec<ImportPart> {
        let mut parts = ImportParts::new(text);
        std::iter::from_fn(|| parts.next_part().unwrap()).collect()
    }

    #[test]
    fn cuts_between_lines_and_counts_them() {
        let text: String = (0..PART_LINES + 5)
            .map(|line| format!("{line}\n"))
            .collect();
        let parts = parts(text.as_bytes());
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].lines_before, parts[1].lines_before),
            (0, PART_LINES)
        );
        let all: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        assert_eq!(all, text.as_bytes());
    }

    #[test]
    fn ends_the_last_line_and_leaves_out_parts_without_any() {
        assert_eq!(parts(b"1\n2")[0].bytes, b"1\n2\n");
        assert!(parts(b"").is_empty() && parts(b"\n \r\n").is_empty());
        let text = "\n".repeat(PART_LINES) + "7\n";
        let parts = parts(text.as_bytes());
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].lines_before, PART_LINES);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let text = "a".repeat(5_000_000) + "\nb\n";
        let parts = parts(text.as_bytes());
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].bytes.len(), IMPORT_LINE_BYTES_MAX + 2 + 1 + 2);
        assert!(parts[0].bytes.ends_with(b"a\nb\n"));
    }

    #[test]
    fn names_the_lines_of_the_whole_import() {
        let part = |line| ImportAddressesResponse {
            lines: 2,
            added: 1,
            refused: 1,
            errors: vec![ImportError {
                line,
                code: "malformed".to_owned(),
                detail: String::new(),
            }],
            ..ImportAddressesResponse::default()
        };
        let mut sum = ImportAddressesResponse::default();
        add_part(&mut sum, part(2), 0);
        add_part(&mut sum, part(1), 2);
        assert_eq!((sum.lines, sum.added, sum.refused), (4, 2, 2));
        let lines: Vec<_> = sum.errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
