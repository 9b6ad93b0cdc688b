//! Tables by name for tools that read a whole log: the same few thousand names come again and
//! again, so those that were met last are found without a keyed hash.

use std::collections::HashMap;
use std::sync::Arc;

/// How many names are found quickly.
const RECENT_NAMES: usize = 4_096;
/// No entry: a log has fewer names than that.
const NONE: u32 = u32::MAX;

/// Values by name, in the order in which the names were met first.
pub(super) struct ByName<V> {
    numbers: HashMap<Arc<str>, u32>,
    entries: Vec<(Arc<str>, V)>,
    /// The number of an entry for each checksum of a name. Names share places, so a guess only.
    recent: Vec<u32>,
}

impl<V> Default for ByName<V> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            entries: Vec::new(),
            recent: vec![NONE; RECENT_NAMES],
        }
    }
}

impl<V> ByName<V> {
    /// The value of `name`; `new` makes the first one.
    pub(super) fn get_or_insert_with(&mut self, name: &str, new: impl FnOnce() -> V) -> &mut V {
        let place = crc32c::crc32c(name.as_bytes()) as usize % RECENT_NAMES;
        let guess = self.recent[place] as usize;
        let number = match self.entries.get(guess) {
            Some((known, _)) if **known == *name => guess,
            _ => {
                let number = self.number(name, new);
                self.recent[place] = u32::try_from(number).unwrap_or(NONE);
                number
            }
        };
        &mut self.entries[number].1
    }

    fn number(&mut self, name: &str, new: impl FnOnce() -> V) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number as usize;
        }
        let name: Arc<str> = name.into();
        let number = self.entries.len();
        let known = u32::try_from(number).expect("a log has fewer than 2^32 names");
        self.numbers.insert(Arc::clone(&name), known);
        self.entries.push((name, new()));
        number
    }

    /// All names and values.
    pub(super) fn into_entries(self) -> Vec<(Arc<str>, V)> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_name_by_itself_however_many_share_a_place() {
        let names: Vec<_> = (0..3 * RECENT_NAMES).map(|n| format!("name-{n}")).collect();
        let mut counts = ByName::default();
        for (number, name) in names.iter().chain(names.iter().rev()).enumerate() {
            *counts.get_or_insert_with(name, || number * 10) += 1;
        }
        let entries = counts.into_entries();
        assert_eq!(entries.len(), names.len());
        for (number, (name, count)) in entries.iter().enumerate() {
            assert_eq!((&**name, *count), (names[number].as_str(), number * 10 + 2));
        }
    }
}
