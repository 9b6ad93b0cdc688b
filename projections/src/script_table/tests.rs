//! The table against a map.

use std::collections::BTreeMap;

use super::*;

fn script(bytes: &[u8]) -> WatchTarget {
    WatchTarget::Script(Script::new(bytes).unwrap())
}

/// A script of each form and of some that only look like one, made of a number.
fn scripts(number: u32) -> Vec<Vec<u8>> {
    let n = number.to_be_bytes();
    let short: Vec<u8> = n.iter().copied().cycle().take(20).collect();
    let long: Vec<u8> = n.iter().copied().cycle().take(32).collect();
    vec![
        [&[0x76, 0xa9, 0x14], &*short, &[0x88, 0xac]].concat(),
        [&[0xa9, 0x14], &*short, &[0x87]].concat(),
        [&[0x00, 0x14], &*short].concat(),
        [&[0x00, 0x20], &*long].concat(),
        [&[0x51, 0x20], &*long].concat(),
        short,
        long.clone(),
        [&[0x52, 0x20], &*long].concat(),
        [&[0x76, 0xa9, 0x14], &*long, &[0x88, 0xac]].concat(),
        n.to_vec(),
        [&*long, &*long, &*long, &*long].concat(),
    ]
}

#[test]
fn gives_back_every_script_and_finds_it_by_bytes_and_hash() {
    let mut table = ScriptTable::default();
    let all: Vec<_> = (0..500).flat_map(scripts).collect();
    for (value, bytes) in all.iter().enumerate() {
        table.insert(&script(bytes), value);
    }
    assert_eq!(table.len(), all.len());
    for (value, bytes) in all.iter().enumerate() {
        let slot = table.find(bytes).unwrap();
        let target = script(bytes);
        assert_eq!(table.value(slot), value);
        assert_eq!(table.script(slot).as_deref(), Some(bytes.as_slice()));
        assert_eq!(table.target(slot), target);
        assert_eq!(table.find_hash(&target.hash()).collect::<Vec<_>>(), [slot]);
        assert_eq!(table.lookup(bytes), Some(target.hash()));
    }
    for foreign in (500..600).flat_map(scripts) {
        assert_eq!(table.find(&foreign), None);
        assert_eq!(table.lookup(&foreign), None);
        assert_eq!(table.find_hash(&script(&foreign).hash()).count(), 0);
    }
    assert_eq!(table.slots().count(), all.len());
}

#[test]
fn does_what_a_map_does() {
    let mut table = ScriptTable::default();
    let mut map: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut random = 88_172_645_463_325_252_u64;
    for value in 0..20_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = u32::try_from(random % 300).unwrap();
        let some = scripts(number);
        let bytes = some[usize::try_from(random >> 32).unwrap() % some.len()].clone();
        if (random >> 20).is_multiple_of(3) {
            let slot = table.find(&bytes);
            assert_eq!(slot.is_some(), map.remove(&bytes).is_some());
            if let Some(slot) = slot {
                table.remove(slot);
            }
        } else {
            let (_, kept) = table.insert(&script(&bytes), value);
            assert_eq!(*kept, *map.entry(bytes).or_insert(value));
        }
        assert_eq!(table.len(), map.len());
    }
    for (bytes, value) in &map {
        assert_eq!(table.value(table.find(bytes).unwrap()), *value);
    }
    let mut seen: Vec<_> = table
        .slots()
        .map(|slot| table.script(slot).unwrap().to_vec())
        .collect();
    seen.sort();
    assert!(seen.iter().eq(map.keys()));
}

#[test]
fn finds_a_script_of_which_only_the_hash_is_known() {
    let mut table = ScriptTable::default();
    let (bytes, hash) = (b"secret".as_slice(), script(b"secret").hash());
    let (bare, _) = table.insert(&WatchTarget::Hash(hash), 1);
    assert_eq!(table.lookup(bytes), Some(hash));
    assert_eq!(table.find(bytes), None);
    assert_eq!(table.target(bare), WatchTarget::Hash(hash));
    assert_eq!(table.lookup(b"other"), None);
    // A script whose bytes are the hash is another script.
    assert_eq!(table.lookup(hash.as_bytes()), None);

    let (whole, _) = table.insert(&script(bytes), 2);
    assert_eq!(table.find_hash(&hash).collect::<Vec<_>>(), [whole, bare]);
    table.remove(bare);
    assert_eq!(table.find_hash(&hash).collect::<Vec<_>>(), [whole]);
    assert_eq!(table.lookup(bytes), Some(hash));
    table.remove(whole);
    assert_eq!(table.lookup(bytes), None);
    assert!(table.is_empty());
}

#[test]
fn uses_places_again() {
    let mut table = ScriptTable::default();
    let fill = |table: &mut ScriptTable<()>, from| {
        for bytes in (from..from + 400).flat_map(scripts) {
            table.insert(&script(&bytes), ());
        }
    };
    fill(&mut table, 0);
    let full = table.memory_bytes();
    for round in 1..6 {
        for slot in table.slots().collect::<Vec<_>>() {
            table.remove(slot);
        }
        fill(&mut table, round * 1_000);
    }
    assert!(table.memory_bytes() < full * 3 / 2, "{full} bytes at first");
}

#[test]
fn takes_less_memory_than_a_number_and_its_place() {
    const MANY: u32 = 100_000;
    let mut table = ScriptTable::default();
    for number in 0..MANY {
        let mut bytes = [0; 34];
        (bytes[0], bytes[1]) = (0x51, 0x20);
        bytes[2..6].copy_from_slice(&number.to_be_bytes());
        table.insert(&script(&bytes), 0_u64);
    }
    // 32 bytes and a value of 8, and two places in tables that may be half empty.
    let each = table.memory_bytes() / MANY as usize;
    assert!(each <= 64, "{each} bytes for a script");
}
