//! What is written to an index file comes back, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

use super::*;

const LOG: LogId = LogId::from_bytes([7; 16]);

fn facts(count: u32) -> Facts {
    Facts {
        number: 3,
        first: 1_000,
        count,
        before: [1; 32],
        after: [2; 32],
    }
}

/// Forty events in eleven streams, some with payloads.
fn recent() -> Recent {
    let mut recent = Recent::default();
    let mut revisions = [0; 11];
    for number in 0..40_u8 {
        let stream = usize::from(number) * 7 % 11;
        let revision = 5 * stream as u64 + revisions[stream];
        revisions[stream] += 1;
        let key = StreamKey::new(&LOG, &format!("mailbox-{stream}"));
        assert!(recent.add(key, revision, 80 + 100 * u32::from(number)));
        let id = PayloadId::new([number % 9; 16]);
        let state = if number % 3 == 0 {
            PayloadState::Erased
        } else {
            PayloadState::Stored(number.into())
        };
        recent.set_payload(id, state);
    }
    recent
}

#[test]
fn gives_back_what_was_in_memory() {
    let recent = recent();
    let written = Image::encode(&LOG, &facts(40), 4_080, &recent);
    let bytes = written.bytes().to_vec();
    let image = Image::decode(&LOG, &facts(40), bytes).unwrap();
    assert_eq!((image.end(), image.layout().count()), (4_080, 40));
    let offsets = &image.bytes()[image.layout().offsets(&(0..40))];
    assert!(decode_offsets(offsets).eq(recent.offsets().iter().copied()));
    let entries: Vec<_> = image.streams(0..256).collect();
    assert_eq!(entries.len(), 11);
    assert!(entries.is_sorted_by_key(|entry| entry.key));
    let halves = image.streams(0..100).chain(image.streams(100..256));
    assert!(halves.eq(entries.iter().copied()));
    for entry in entries {
        let stream = recent.streams().get(&entry.key).unwrap();
        assert_eq!(entry.first_revision, stream.first_revision);
        assert_eq!(Some(&entry.last), stream.ordinals().last());
        let places = entry.start..entry.start + entry.events;
        let places = decode_places(&image.bytes()[image.layout().places(&places)]);
        let expected = stream.ordinals().iter();
        let expected = expected.map(|at| (*at, recent.offsets()[*at as usize]));
        assert!(places.eq(expected));
    }
    let payloads = recent.payloads();
    assert_eq!(
        image.stored().count() + image.erased().count(),
        payloads.len()
    );
    for (id, ordinal) in image.stored() {
        assert_eq!(payloads[&id], PayloadState::Stored(ordinal));
    }
    for id in image.erased() {
        assert_eq!(payloads[&id], PayloadState::Erased);
    }
}

#[test]
fn refuses_any_flipped_bit_and_any_other_length() {
    let written = Image::encode(&LOG, &facts(40), 4_080, &recent());
    let whole = written.bytes();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            Image::decode(&LOG, &facts(40), bytes).is_none(),
            "bit {bit}"
        );
    }
    for length in 0..whole.len() {
        let cut = whole[..length].to_vec();
        assert!(Image::decode(&LOG, &facts(40), cut).is_none(), "{length}");
    }
    let longer = [whole, &[0]].concat();
    assert!(Image::decode(&LOG, &facts(40), longer).is_none());
}

#[test]
fn refuses_the_file_of_another_log_or_segment() {
    let written = Image::encode(&LOG, &facts(40), 4_080, &recent());
    let decode = |log_id: &LogId, facts: &Facts| {
        Image::decode(log_id, facts, written.bytes().to_vec()).is_some()
    };
    let right = facts(40);
    assert!(decode(&LOG, &right));
    assert!(!decode(&LogId::from_bytes([8; 16]), &right));
    let others = [
        Facts { number: 4, ..right },
        Facts {
            first: 1_001,
            ..right
        },
        Facts { count: 41, ..right },
        Facts {
            before: [3; 32],
            ..right
        },
        Facts {
            after: [3; 32],
            ..right
        },
    ];
    for other in others {
        assert!(!decode(&LOG, &other), "{other:?}");
    }
}
