//! The table of places against a plain map, and how much memory it takes.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::collections::HashMap;

use proptest::prelude::*;
use satpost_domain::PayloadId;

use super::{Place, Places};

fn id(number: u64) -> PayloadId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    PayloadId::new(bytes)
}

fn at(slot: u32) -> Place {
    Place {
        segment: slot % 7,
        offset: slot * 100,
        bytes: 16 + slot,
        slot,
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(u64, u32),
    Remove(u64),
    Relocate(u64, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let ids = 0..40_u64;
    prop_oneof![
        3 => (ids.clone(), 1..4_000_u32).prop_map(|(id, slot)| Step::Insert(id, slot)),
        2 => ids.clone().prop_map(Step::Remove),
        1 => (ids, 1..9_u32).prop_map(|(id, segment)| Step::Relocate(id, segment)),
    ]
}

proptest! {
    #[test]
    fn holds_what_a_map_holds(steps in prop::collection::vec(step(), 0..300)) {
        let mut places = Places::default();
        let mut model: HashMap<PayloadId, Place> = HashMap::new();
        for step in steps {
            match step {
                Step::Insert(number, slot) => {
                    // A slot has one payload at a time.
                    if model.values().all(|place| place.slot != slot) {
                        let before = places.insert(id(number), at(slot));
                        prop_assert_eq!(before, model.insert(id(number), at(slot)));
                    }
                }
                Step::Remove(number) => {
                    prop_assert_eq!(places.remove(&id(number)), model.remove(&id(number)));
                }
                Step::Relocate(number, segment) => {
                    let from = model.get(&id(number)).copied();
                    let wrong = at(4_001);
                    prop_assert!(!places.relocate(&id(number), wrong, wrong));
                    if let Some(from) = from {
                        let to = Place { segment, offset: 5, ..from };
                        prop_assert!(places.relocate(&id(number), from, to));
                        model.insert(id(number), to);
                    }
                }
            }
        }
        prop_assert_eq!(places.len(), model.len());
        for number in 0..40 {
            prop_assert_eq!(places.get(&id(number)), model.get(&id(number)).copied());
        }
        let all: HashMap<_, _> = (0..places.chunks())
            .flat_map(|number| places.chunk(number).collect::<Vec<_>>())
            .collect();
        prop_assert_eq!(all, model);
    }
}

#[test]
fn takes_at_most_48_bytes_a_payload_and_gives_them_back() {
    let mut places = Places::default();
    let count = 300_000;
    let mut most: f64 = 0.0;
    for number in 0..count {
        places.insert(id(number), at(u32::try_from(number).unwrap() + 1));
        if number >= 50_000 && number % 10_000 == 0 {
            let bytes = places.memory_bytes() as f64 / places.len() as f64;
            most = most.max(bytes);
        }
    }
    println!("at most {most:.1} bytes a payload");
    assert!(most <= 48.0, "{most} bytes a payload");
    let full = places.memory_bytes();
    for number in 0..count - 1_000 {
        places.remove(&id(number)).unwrap();
    }
    let left = places.memory_bytes();
    assert!(left * 5 < full, "{left} of {full} bytes are left for 1,000");
}
