//! Golden files: what was stored once is read for ever.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

mod examples;

use examples::examples;

/// The bytes of one event at one version, in two lines of hexadecimal text.
#[derive(Debug, PartialEq, Eq)]
struct Golden {
    body: Vec<u8>,
    sealed: Option<Vec<u8>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/events")
}

impl Golden {
    /// Reads a golden file. With `UPDATE_EVENTS=1` one that is missing is written first; one that
    /// is there is a promise, and no switch replaces it.
    #[track_caller]
    fn read(kind: &str, schema: u16, if_missing: &Encoded) -> Self {
        let path = folder().join(format!("{kind}.{schema}.hex"));
        #[expect(clippy::disallowed_methods, reason = "a switch of this test")]
        let write = std::env::var_os("UPDATE_EVENTS").is_some();
        if write && !path.exists() {
            let mut text = format!("body {}\n", hex::encode(&if_missing.body));
            if let Some((_, sealed)) = &if_missing.sealed {
                text += &format!("sealed {}\n", hex::encode(sealed));
            }
            fs::write(&path, text).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; UPDATE_EVENTS=1 writes it", path.display())
        });
        let line = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let bytes = lines.find(|(key, _)| *key == name)?.1;
            Some(hex::decode(bytes).unwrap())
        };
        Self {
            body: line("body").unwrap(),
            sealed: line("sealed"),
        }
    }
}

#[test]
fn every_event_is_stored_as_its_golden_file_says() {
    for event in examples() {
        let encoded = encode(&event);
        let golden = Golden::read(encoded.kind, encoded.schema, &encoded);
        assert_eq!(encoded.body, golden.body, "{}", encoded.kind);
        let sealed = encoded.sealed.map(|(_, bytes)| bytes);
        assert_eq!(sealed, golden.sealed, "{}", encoded.kind);
    }
}

#[test]
fn every_golden_file_is_read_as_its_example() {
    for event in examples() {
        let encoded = encode(&event);
        let golden = Golden::read(encoded.kind, encoded.schema, &encoded);
        let sealed = golden.sealed.as_deref();
        let decoded = decode(encoded.kind, encoded.schema, &golden.body, sealed);
        assert_eq!(decoded, Ok(event));
    }
}

#[test]
fn every_registered_form_has_an_example_and_a_golden_file() {
    let names = |kind: &str, schema: u16| format!("{kind}.{schema}.hex");
    let registered: BTreeSet<_> = registered()
        .map(|form| names(form.kind, form.schema))
        .collect();
    let examples: BTreeSet<_> = examples()
        .iter()
        .map(encode)
        .map(|encoded| names(encoded.kind, encoded.schema))
        .collect();
    let files: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(registered, examples);
    assert_eq!(registered, files);
}

#[test]
fn no_kind_and_version_is_registered_twice() {
    let mut seen = BTreeSet::new();
    for form in registered() {
        assert!(seen.insert((form.kind, form.schema)), "{}", form.kind);
    }
}

#[test]
fn an_erased_part_leaves_the_rest_of_its_event() {
    let mut with_sealed_part = 0;
    for event in examples() {
        let encoded = encode(&event);
        let sealed = encoded.sealed.is_some();
        assert_eq!(has_sealed_part(encoded.kind, encoded.schema), sealed);
        if sealed {
            with_sealed_part += 1;
            let erased = decode(encoded.kind, encoded.schema, &encoded.body, None).unwrap();
            assert_ne!(erased, event);
            let again = encode(&erased);
            assert_eq!((again.body, again.sealed), (encoded.body, None));
        }
    }
    assert_eq!(with_sealed_part, 2);
}

#[test]
fn says_what_it_does_not_know() {
    assert_eq!(
        decode("MessageTeleported", 1, &[], None),
        Err(DecodeError::UnknownKind {
            kind: "MessageTeleported".to_owned()
        })
    );
    for schema in [0, 2, u16::MAX] {
        assert_eq!(
            decode("ClientRetired", schema, &[0], None),
            Err(DecodeError::UnknownSchema {
                kind: "ClientRetired",
                schema,
                newest: 1
            })
        );
    }
    let left_over = decode("ClientRetired", 1, &[0, 0], None).unwrap_err();
    assert_eq!(
        left_over.to_string(),
        "ClientRetired with schema 1 does not decode: 1 bytes are left over"
    );
}

#[test]
fn refuses_a_code_that_no_set_has() {
    let mut body = encode(&examples::message_parked()).body;
    assert_eq!(body[1], 1, "the reason stands behind a small seq");
    body[1] = 3;
    assert!(matches!(
        decode("MessageParked", 1, &body, None),
        Err(DecodeError::Malformed { .. })
    ));
}

#[test]
fn refuses_every_form_that_is_cut_short() {
    for event in examples() {
        let encoded = encode(&event);
        let sealed = encoded.sealed.as_ref().map(|(_, bytes)| bytes.as_slice());
        for end in 0..encoded.body.len() {
            let cut = decode(encoded.kind, encoded.schema, &encoded.body[..end], sealed);
            assert!(cut.is_err(), "{} cut at {end}", encoded.kind);
        }
    }
}

#[test]
fn metadata_is_stored_as_pinned_here() {
    let metadata = examples::metadata();
    let pinned = concat!(
        "01",
        "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2",
        "80d095ffbc31"
    );
    assert_eq!(hex::encode(encode_metadata(&metadata)), pinned);
    let bytes = hex::decode(pinned).unwrap();
    assert_eq!(decode_metadata(&bytes), Ok(metadata));
    for end in 0..bytes.len() {
        assert!(decode_metadata(&bytes[..end]).is_err(), "cut at {end}");
    }
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(
        decode_metadata(&newer).unwrap_err().to_string(),
        "the metadata of an event does not decode: it has version 2, this server knows up to 1"
    );
}

#[test]
fn the_catalogue_names_every_event_and_every_part() {
    let page = catalogue();
    for form in registered() {
        let row = format!("| {} | {} |", form.kind, form.schema);
        assert!(page.contains(&row), "{row}");
    }
    for (name, _) in parts::ALL {
        assert!(page.contains(&format!("| {name} |")), "{name}");
    }
    for (name, _) in codes::ALL {
        assert!(page.contains(&format!("| {name} |")), "{name}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(
        form in 0..registered().count(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        sealed in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
    ) {
        let form = registered().nth(form).unwrap();
        // What it gives does not matter here; that it comes back does.
        drop(decode(form.kind, form.schema, &body, sealed.as_deref()));
        drop(decode_metadata(&body));
    }

    #[test]
    fn what_is_read_from_damaged_bytes_is_an_event_that_can_be_stored(
        example in 0..examples().len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let encoded = encode(&examples()[example]);
        let mut body = encoded.body;
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let sealed = encoded.sealed.as_ref().map(|(_, bytes)| bytes.as_slice());
        if let Ok(event) = decode(encoded.kind, encoded.schema, &body, sealed) {
            let again = encode(&event);
            let sealed = again.sealed.as_ref().map(|(_, bytes)| bytes.as_slice());
            prop_assert_eq!(decode(again.kind, again.schema, &again.body, sealed), Ok(event));
        }
    }
}
