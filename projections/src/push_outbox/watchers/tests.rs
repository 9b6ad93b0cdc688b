//! The lists against maps.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn client(number: u8) -> ClientId {
    ClientId::from_stored([number; 32])
}

/// What a map of maps would say.
#[derive(Default)]
struct Simple {
    entries: BTreeMap<(u8, u32), (u8, u64)>,
}

impl Simple {
    fn touch(&mut self, script: u8, trigger: u64) -> Vec<ClientId> {
        let mut clients = BTreeSet::new();
        for ((client, _), (watched, last)) in &mut self.entries {
            if *watched == script {
                *last = trigger;
                clients.insert(*client);
            }
        }
        clients.into_iter().map(client).collect()
    }

    fn of(&self, number: u8) -> Vec<(WatchId, ScriptPrefix, u64)> {
        let all = self.entries.iter();
        all.filter(|((client, _), _)| *client == number)
            .map(|((_, id), (script, last))| (watch(*id), prefix(*script), *last))
            .collect()
    }
}

/// Ids that count in runs of 300, as those of long requests do.
fn watch(number: u32) -> WatchId {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&u16::try_from(number / 300).unwrap().to_be_bytes());
    WatchId::new(id).at_place(number % 300)
}

fn prefix(script: u8) -> ScriptPrefix {
    ScriptPrefix([script; 8])
}

#[test]
fn does_what_maps_do() {
    let mut watchers = Watchers::default();
    let mut simple = Simple::default();
    let mut random = 88_172_645_463_325_252_u64;
    for step in 1..20_000_u32 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = u8::try_from(random % 3).unwrap();
        let script = u8::try_from(random >> 8 & 31).unwrap();
        match random >> 20 & 7 {
            0..=3 => {
                // Ids are never used again.
                watchers.watch(client(number), watch(step), prefix(script), 0);
                simple.entries.insert((number, step), (script, 0));
            }
            4 | 5 => {
                let known = simple.entries.keys().filter(|(of, _)| *of == number);
                let known: Vec<u32> = known.map(|(_, id)| *id).collect();
                // More go than come now and then, so that gaps are closed.
                let many = if random >> 40 & 15 == 0 {
                    known.len() / 2
                } else {
                    1
                };
                for id in known.iter().take(many) {
                    let (_, last) = simple.entries.remove(&(number, *id)).unwrap();
                    assert_eq!(watchers.unwatch(&client(number), watch(*id)), Some(last));
                    assert_eq!(watchers.unwatch(&client(number), watch(*id)), None);
                }
            }
            6 => {
                let trigger = u64::from(step);
                let touched = watchers.touch(prefix(script), trigger);
                assert_eq!(touched, simple.touch(script, trigger));
            }
            _ if random >> 30 & 63 == 0 => {
                watchers.forget(&client(number));
                simple.entries.retain(|(of, _), _| *of != number);
            }
            _ => {
                let last = simple.of(number).into_iter().map(|(.., last)| last).max();
                assert_eq!(watchers.last_trigger(&client(number)), last.unwrap_or(0));
            }
        }
        if step % 64 == 0 {
            for number in 0..3 {
                let entries: Vec<_> = watchers.entries(&client(number)).collect();
                assert_eq!(entries, simple.of(number));
            }
        }
    }
}

#[test]
fn a_script_takes_about_25_bytes() {
    const MANY: u32 = 100_000;
    let mut watchers = Watchers::default();
    for number in 0..MANY {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        watchers.watch(client(1), watch(number), ScriptPrefix(bytes), 0);
    }
    let bytes = watchers.memory_bytes() / MANY as usize;
    assert!(bytes <= 32, "{bytes} bytes for a script");
}
