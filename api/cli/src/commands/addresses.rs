//! What the server watches.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use satpost_api_types::addresses::{DetailedEntry, ImportAddressesResponse, WatchEntry};
use satpost_client::descriptor::WatchDescriptor;
use satpost_client::wallet::{DescriptorWatch, Wallet};
use serde_json::json;

use crate::arguments::{WatchAddressArguments, WatchDescriptorArguments};
use crate::output::Output;

/// How often a descriptor is looked at while following.
const FOLLOW_PAUSE: Duration = Duration::from_secs(5);

/// Entries for everything that was named on the command line.
pub(crate) fn entries(
    addresses: Vec<String>,
    scripts: Vec<String>,
    script_hashes: Vec<String>,
) -> Vec<WatchEntry> {
    let addresses = addresses.into_iter().map(|address| DetailedEntry {
        address: Some(address),
        ..DetailedEntry::default()
    });
    let scripts = scripts.into_iter().map(|script| DetailedEntry {
        script: Some(script),
        ..DetailedEntry::default()
    });
    let hashes = script_hashes.into_iter().map(|hash| DetailedEntry {
        script_hash: Some(hash),
        ..DetailedEntry::default()
    });
    let all = addresses.chain(scripts).chain(hashes);
    all.map(WatchEntry::Detailed).collect()
}

/// Watches addresses, or a new receive address.
pub(crate) async fn watch_address(
    wallet: &mut Wallet,
    arguments: WatchAddressArguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let depths = Some(arguments.depths).filter(|depths| !depths.is_empty());
    let mut entries = entries(
        arguments.addresses,
        arguments.scripts,
        arguments.script_hashes,
    );
    if entries.is_empty() {
        entries.push(WatchEntry::Detailed(DetailedEntry {
            address: Some(wallet.new_address()?),
            ..DetailedEntry::default()
        }));
    }
    for entry in &mut entries {
        if let WatchEntry::Detailed(entry) = entry {
            entry.depths.clone_from(&depths);
            entry.birthday = arguments.birthday;
        }
    }
    let added = wallet.watch_entries(&entries).await?;
    let names: Vec<_> = entries.iter().map(name).collect();
    output.show(
        &names.join("\n"),
        &json!({ "addresses": names, "added": added }),
    );
    Ok(ExitCode::SUCCESS)
}

/// Watches the scripts of a descriptor, and further ones as they are used.
pub(crate) async fn watch_descriptor(
    wallet: &mut Wallet,
    arguments: WatchDescriptorArguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let descriptor = WatchDescriptor::parse(&arguments.descriptor, wallet.network()?)?;
    let watch = DescriptorWatch {
        gap: arguments.gap,
        depths: Some(arguments.depths).filter(|depths| !depths.is_empty()),
        birthday: arguments.birthday,
    };
    let mut first = true;
    loop {
        let reach = wallet.watch_descriptor(&descriptor, &watch).await?;
        if first || reach.added > 0 {
            let watched: Vec<_> = reach.watched.iter().map(ToString::to_string).collect();
            output.show(
                &format!(
                    "{} scripts watched, {} new",
                    watched.join(" + "),
                    reach.added
                ),
                &json!({ "watched": reach.watched, "added": reach.added }),
            );
        }
        first = false;
        if !arguments.follow {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

/// Watches addresses no longer.
pub(crate) async fn unwatch_address(
    wallet: &mut Wallet,
    entries: &[WatchEntry],
    output: &Output,
) -> anyhow::Result<ExitCode> {
    wallet.unwatch_entries(entries).await?;
    let names: Vec<_> = entries.iter().map(name).collect();
    output.show("", &json!({ "addresses": names }));
    Ok(ExitCode::SUCCESS)
}

/// Lists what the server watches.
pub(crate) async fn list_addresses(
    wallet: &mut Wallet,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    for watched in wallet.list_addresses().await? {
        output.show(watched.name(), &serde_json::to_value(&watched)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Watches what stands in a file; fails when a line was refused, after all others were taken.
pub(crate) async fn import_addresses(
    wallet: &mut Wallet,
    file: Option<&Path>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let input: Box<dyn Read> = match file {
        Some(path) => {
            let file = File::open(path);
            Box::new(file.with_context(|| format!("{} cannot be read", path.display()))?)
        }
        None => Box::new(io::stdin()),
    };
    let lines = BufReader::new(QuotedLines::new(BufReader::new(input)));
    let on_progress = |sum: &ImportAddressesResponse| {
        output.hint(&format!("{} lines sent, {} added", sum.lines, sum.added));
    };
    let sum = wallet.import_addresses(lines, on_progress).await?;
    for error in &sum.errors {
        output.hint(&format!("line {}: {}", error.line, error.detail));
    }
    let text = format!(
        "{} lines: {} added, {} changed, {} unchanged, {} refused",
        sum.lines, sum.added, sum.changed, sum.unchanged, sum.refused
    );
    output.show(&text, &serde_json::to_value(&sum)?);
    Ok(match sum.refused {
        0 => ExitCode::SUCCESS,
        _ => crate::exit::REFUSED.into(),
    })
}

fn name(entry: &WatchEntry) -> &str {
    match entry {
        WatchEntry::Address(address) => address,
        WatchEntry::Detailed(entry) => {
            let names = [&entry.address, &entry.script, &entry.script_hash];
            names
                .into_iter()
                .flatten()
                .next()
                .map_or("", String::as_str)
        }
    }
}

/// Puts plain addresses into quotes, so that every line is JSON.
struct QuotedLines<R> {
    lines: R,
    /// The line that is being read out, and how far.
    line: Vec<u8>,
    read: usize,
}

/// A line is looked at in pieces of this size; only short ones can be plain addresses.
const PIECE_BYTES: u64 = 4_096;

impl<R: BufRead> QuotedLines<R> {
    const fn new(lines: R) -> Self {
        Self {
            lines,
            line: Vec::new(),
            read: 0,
        }
    }

    fn next_line(&mut self) -> io::Result<()> {
        self.line.clear();
        self.read = 0;
        let mut piece = self.lines.by_ref().take(PIECE_BYTES);
        piece.read_until(b'\n', &mut self.line)?;
        let plain = self.line.trim_ascii();
        let is_plain = !plain.is_empty() && plain.iter().all(u8::is_ascii_alphanumeric);
        if is_plain {
            self.line = [b"\"", plain, b"\"\n"].concat();
        }
        Ok(())
    }
}

impl<R: BufRead> Read for QuotedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            self.next_line()?;
        }
        let rest = &self.line[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_plain_addresses_into_quotes() {
        let text = "bcrt1q\r\n\n{\"script\":\"51\"}\n\"2Mz\"\n  1abc  ";
        let mut quoted = String::new();
        QuotedLines::new(text.as_bytes())
            .read_to_string(&mut quoted)
            .unwrap();
        assert_eq!(
            quoted,
            "\"bcrt1q\"\n\n{\"script\":\"51\"}\n\"2Mz\"\n\"1abc\"\n"
        );
    }
}
