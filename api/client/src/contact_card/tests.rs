//! A failing property prints its seed; `PROPTEST_CASES=1` with the line in
//! `proptest-regressions/` replays it.

use proptest::prelude::*;

use super::*;
use crate::seed::Seed;

const ADDRESS: &str = "bcrt1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqjeprhg";

fn secret() -> MessagingSecret {
    MessagingSecret::derive(&Seed::from_entropy(&[1; 16]).unwrap(), 0)
}

fn card() -> ContactCard {
    let token = TokenSecret::from_field([7; 32]);
    let fields = CardFields {
        name: "Alice",
        payment_address: Some(ADDRESS),
        server: Some("https://post.example"),
        token: token.as_ref(),
    };
    ContactCard::sign(&secret(), fields).unwrap()
}

/// A card with a name only.
fn named(name: &str) -> CardFields<'_> {
    CardFields {
        name,
        ..CardFields::default()
    }
}

#[test]
fn the_text_form_reads_back_in_either_case() {
    let text = card().to_string();
    assert_eq!(text.parse(), Ok(card()));
    assert_eq!(text.to_uppercase().parse(), Ok(card()));
    assert_eq!(format!("  {text}\n").parse(), Ok(card()));
    let bare = ContactCard::sign(&secret(), named("Bob")).unwrap();
    assert_eq!(bare.token(), None);
    assert_eq!(bare.to_string().parse(), Ok(bare));
}

#[test]
fn another_version_is_told_by_its_prefix() {
    let later = card().to_string().replacen("satpost1:", "satpost2:", 1);
    assert_eq!(later.parse::<ContactCard>(), Err(CardError::Prefix));
}

#[test]
fn mixed_case_is_refused() {
    let mixed = card().to_string().replacen('a', "A", 1);
    assert_eq!(mixed.parse::<ContactCard>(), Err(CardError::Encoding));
}

proptest! {
    #[test]
    fn a_changed_character_is_noticed(place in PREFIX.len()..300, with in "[a-z2-7]") {
        let text = card().to_string();
        let place = PREFIX.len() + place % (text.len() - PREFIX.len());
        let mut changed = text.clone();
        changed.replace_range(place..=place, &with);
        if changed == text {
            prop_assert!(changed.parse::<ContactCard>().is_ok());
        } else {
            prop_assert!(changed.parse::<ContactCard>().is_err());
        }
    }

    #[test]
    fn a_cut_or_longer_card_is_refused(length in 0_usize..260, more in "[a-z2-7]{1,8}") {
        let text = card().to_string();
        let cut: String = text.chars().take(length.min(text.len() - 1)).collect();
        prop_assert!(cut.parse::<ContactCard>().is_err());
        prop_assert!((text + &more).parse::<ContactCard>().is_err());
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "(satpost1:)?[a-zA-Z2-7]{0,400}") {
        prop_assert!(text.parse::<ContactCard>().is_err());
    }
}

#[test]
fn fields_out_of_bounds_are_refused_by_name() {
    let field = |name: &str, payment_address: Option<&str>, server: Option<&str>| {
        let fields = CardFields {
            payment_address,
            server,
            ..named(name)
        };
        match ContactCard::sign(&secret(), fields) {
            Err(CardError::Field { field }) => field,
            other => panic!("expected a refused field, got {other:?}"),
        }
    };
    assert_eq!(field("", None, None), "name");
    assert_eq!(field(&"x".repeat(65), None, None), "name");
    assert_eq!(field(" Alice", None, None), "name");
    assert_eq!(field("Alice\u{202e}ecilA", None, None), "name");
    assert_eq!(field("Alice\n", None, None), "name");
    assert_eq!(field("Alice", Some("bc1qnothing"), None), "payment address");
    assert_eq!(field("Alice", None, Some("ftp://post.example")), "server");
    assert_eq!(field("Alice", None, Some("https://a.example/x")), "server");
}

#[test]
fn a_signed_card_with_a_bad_field_is_refused() {
    // Signed rightly by a modified wallet.
    let mut card = card();
    card.name = "\u{202e}evil".to_owned();
    card.signature = secret().sign(&card.signed_bytes());
    assert_eq!(
        card.to_string().parse::<ContactCard>(),
        Err(CardError::Field { field: "name" })
    );
}

#[test]
fn a_token_has_32_bytes_that_say_something() {
    let parse = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut fields = card().fields();
        change(&mut fields);
        let signature = secret().sign(&[SIGNATURE_CONTEXT, &fields].concat());
        let bytes = [fields, signature.to_vec()].concat();
        let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase());
        text.parse::<ContactCard>()
    };
    let length = card().fields().len() - 33;
    let refused = Err(CardError::Field {
        field: "delivery token",
    });
    assert_eq!(parse(&|fields| fields[length] = 31), refused);
    assert_eq!(parse(&|fields| fields[length + 1..].fill(0)), refused);
    assert_eq!(parse(&|_| ()), Ok(card()));
}

/// Cards are printed and kept for years.
#[test]
fn the_text_form_never_changes() {
    assert_eq!(
        card().to_string(),
        "satpost1:xnbpvomuxwnad5llghzkajmbjonwplpdzxgf4x5gn4ujixujj34qkqlmnfrwkqdcmnzhimlqhb3xa5bzoy2gm4tqmyzxi23ogbzxezbzg5ygw43hon4ggnliom2te3dbmz4ho4tvhfvwozlfobuhm4zxojywuzlqojugofdior2ha4z2f4xxa33toqxgk6dbnvygyzjaa4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dr5xntr32o4aqsjszeedxk365tr2jpw2vjksu7wzqjnmeb4272ieb2lexz4gd5kegkqey3ciu5bx7lztx4k6f266dulw55qbsdhb42b4"
    );
}
