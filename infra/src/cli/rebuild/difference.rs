//! What differs between two states of a projection, in words. Works on their trees: lists of
//! entries are compared by the id of the entry, everything else by its place.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fields that an entry of a list is found by, the first that it has.
const ID_FIELDS: [&str; 5] = ["id", "client", "mailbox", "txid", "seq"];
/// What is never shown: it wakes or identifies a phone.
const HIDDEN_FIELDS: [&str; 4] = ["endpoint", "p256dh", "auth", "code"];
/// The longest text that is shown; ids of 32 bytes have 64 characters.
const TEXT_MAX: usize = 64;

/// How much is in a state, by the name of each list.
pub(super) fn counts(tree: &Value) -> Vec<(String, u64)> {
    match tree {
        Value::Array(entries) => vec![("entries".to_owned(), entries.len() as u64)],
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, field)| match field {
                Value::Array(entries) => Some((name.clone(), entries.len() as u64)),
                field => Some((name.clone(), field.as_u64()?)),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The first `max` differences, and how many more there are.
pub(super) fn differences(live: &Value, rebuilt: &Value, max: usize) -> Vec<String> {
    let mut found = Found {
        lines: Vec::new(),
        max,
        more: 0,
    };
    found.compare("", live, rebuilt);
    if found.more > 0 {
        found.lines.push(format!("and {} more", found.more));
    }
    found.lines
}

struct Found {
    lines: Vec<String>,
    max: usize,
    more: u64,
}

impl Found {
    fn add(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < self.max {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    fn compare(&mut self, place: &str, live: &Value, rebuilt: &Value) {
        if live == rebuilt {
            return;
        }
        match (live, rebuilt) {
            (Value::Object(a), Value::Object(b)) => {
                for (name, value) in a {
                    let other = b.get(name).unwrap_or(&Value::Null);
                    self.compare(&below(place, name), value, other);
                }
            }
            (Value::Array(a), Value::Array(b)) => match (by_id(a), by_id(b)) {
                (Some(a), Some(b)) => self.compare_entries(place, &a, &b),
                _ if a.len() == b.len() && !is_bytes(a) => {
                    for (index, (a, b)) in a.iter().zip(b).enumerate() {
                        self.compare(&below(place, &index.to_string()), a, b);
                    }
                }
                _ => self.differ(place, live, rebuilt),
            },
            _ => self.differ(place, live, rebuilt),
        }
    }

    fn compare_entries(
        &mut self,
        place: &str,
        live: &BTreeMap<String, &Value>,
        rebuilt: &BTreeMap<String, &Value>,
    ) {
        for (id, entry) in live {
            match rebuilt.get(id) {
                Some(other) => self.compare(&below(place, id), entry, other),
                None => self.add(|| format!("{} is in the live one only", below(place, id))),
            }
        }
        for id in rebuilt.keys().filter(|id| !live.contains_key(*id)) {
            self.add(|| format!("{} is in the rebuilt one only", below(place, id)));
        }
    }

    fn differ(&mut self, place: &str, live: &Value, rebuilt: &Value) {
        let hidden = place
            .rsplit('/')
            .next()
            .is_some_and(|name| HIDDEN_FIELDS.contains(&name));
        self.add(|| {
            if hidden {
                format!("{place} differs (it is not shown)")
            } else {
                let (live, rebuilt) = (shown(live), shown(rebuilt));
                format!("{place} is {live} in the live one, {rebuilt} in the rebuilt one")
            }
        });
    }
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}/{name}")
    }
}

/// The entries of a list by their ids, if each has one of its own.
fn by_id(entries: &[Value]) -> Option<BTreeMap<String, &Value>> {
    let mut by_id = BTreeMap::new();
    for entry in entries {
        let id = match entry {
            Value::Object(fields) => ID_FIELDS.iter().find_map(|name| fields.get(*name))?,
            // A place in the line of a mailbox: a message, and whether it is done.
            Value::Array(parts) => match parts.first()? {
                Value::Object(fields) => ID_FIELDS.iter().find_map(|name| fields.get(*name))?,
                // A script is a list of bytes; the id of its entry stands behind it.
                Value::Array(_) => parts.get(1)?,
                part => part,
            },
            _ => return None,
        };
        let id = match id {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if by_id.insert(id, entry).is_some() {
            return None;
        }
    }
    Some(by_id)
}

fn is_bytes(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(Value::is_number)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(list) if is_bytes(list) => format!("a list of {} numbers", list.len()),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "something".to_owned(),
        Value::String(text) if text.len() > TEXT_MAX => format!("a text of {} bytes", text.len()),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_states_have_no_differences() {
        let state = json!({ "clients": [{ "id": "a", "push": null }], "triggers": 3 });
        assert!(differences(&state, &state, 10).is_empty());
        let expected = [("clients".to_owned(), 1), ("triggers".to_owned(), 3)];
        assert_eq!(counts(&state), expected);
    }

    #[test]
    fn entries_are_told_apart_by_their_ids() {
        let live = json!({ "clients": [{ "id": "a", "n": 1 }, { "id": "b", "n": 2 }] });
        let rebuilt = json!({ "clients": [{ "id": "b", "n": 5 }, { "id": "c", "n": 2 }] });
        assert_eq!(
            differences(&live, &rebuilt, 10),
            [
                "clients/a is in the live one only",
                "clients/b/n is 2 in the live one, 5 in the rebuilt one",
                "clients/c is in the rebuilt one only",
            ]
        );
    }

    #[test]
    fn tells_the_first_differences_and_how_many_more_there_are() {
        let live = json!([["a", 1], ["b", 1], ["c", 1]]);
        let rebuilt = json!([["a", 2], ["b", 2], ["c", 2]]);
        let told = differences(&live, &rebuilt, 1);
        assert_eq!(told.len(), 2);
        assert_eq!(told[1], "and 2 more");
    }

    #[test]
    fn a_push_target_is_never_shown() {
        let state = |endpoint: &str| json!([{ "id": "a", "push": { "endpoint": endpoint } }]);
        let told = differences(&state("https://one"), &state("https://two"), 10);
        assert_eq!(told, ["a/push/endpoint differs (it is not shown)"]);
    }
}
