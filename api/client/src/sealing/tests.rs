//! A failing property prints its seed; `PROPTEST_CASES=1` with the line in
//! `proptest-regressions/` replays it.

use proptest::prelude::*;
use satpost_domain::Timestamp;

use super::*;
use crate::envelope::is_for_people;
use crate::seed::Seed;
use crate::testing::Counting;
use crate::token::TokenSecret;

fn secret(fill: u8) -> MessagingSecret {
    MessagingSecret::derive(&Seed::from_entropy(&[fill; 16]).unwrap(), 0)
}

fn envelope(sender: &MessagingSecret, text: &str) -> Envelope {
    Envelope {
        sender: sender.public(),
        series: [5; 16],
        counter: 1,
        previous: [0; 32],
        sent_at: Timestamp::from_millis(1_700_000_000_000),
        token: TokenSecret::from_field([7; 32]),
        content: Content::Text(text.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_and_has_a_size_of_the_list(
        text in "\\PC{0,40}",
        repeat in 0_usize..=400,
        counter in 1_u64..,
        previous: [u8; 32],
        sent_at: u64,
        token: [u8; 32],
        kind in 1_u8..=4,
    ) {
        let (alice, bob) = (secret(1), secret(2));
        let mut text = text.repeat(repeat);
        while text.len() > CONTENT_BYTES_MAX {
            text.pop();
        }
        let text = if is_for_people(kind) { text } else { String::new() };
        let sealed = Envelope {
            counter,
            previous,
            sent_at: Timestamp::from_millis(sent_at),
            token: TokenSecret::from_field(token),
            content: Content::from_parts(kind, text).unwrap(),
            ..envelope(&alice, "")
        };
        let body = seal(&sealed, &alice, &bob.public(), &Counting::default()).unwrap();
        prop_assert!(is_bucket(body.len()), "{} bytes", body.len());
        prop_assert_eq!(open(&body, &bob), Ok(sealed));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused(bit in 0_usize..512 * 8) {
        let (alice, bob) = (secret(1), secret(2));
        let entropy = Counting::default();
        let mut body = seal(&envelope(&alice, "hello"), &alice, &bob.public(), &entropy).unwrap();
        // The top bit of an X25519 key is ignored (RFC 7748, section 5): the key stays the same, but
        // HPKE hashes the encapsulated bytes, so that the message is refused all the same.
        body[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(open(&body, &bob), Err(OpenError::NotForMe));
    }

    #[test]
    fn another_recipient_cannot_open(fill in 3_u8..) {
        let (alice, bob) = (secret(1), secret(2));
        let entropy = Counting::default();
        let body = seal(&envelope(&alice, "hello"), &alice, &bob.public(), &entropy).unwrap();
        prop_assert_eq!(open(&body, &secret(fill)), Err(OpenError::NotForMe));
    }
}

#[test]
fn the_longest_content_fits_and_one_byte_more_does_not() {
    let (alice, bob) = (secret(1), secret(2));
    let entropy = Counting::default();
    let longest = "x".repeat(CONTENT_BYTES_MAX);
    let body = seal(&envelope(&alice, &longest), &alice, &bob.public(), &entropy).unwrap();
    assert_eq!(body.len(), 16_384);
    let longer = longest + "x";
    assert_eq!(
        seal(&envelope(&alice, &longer), &alice, &bob.public(), &entropy),
        Err(SealError::TooLong {
            actual: CONTENT_BYTES_MAX + 1
        })
    );
}

#[test]
fn equal_messages_give_unequal_bodies() {
    let (alice, bob) = (secret(1), secret(2));
    let entropy = Counting::default();
    let sealed = envelope(&alice, "hello");
    let one = seal(&sealed, &alice, &bob.public(), &entropy).unwrap();
    let two = seal(&sealed, &alice, &bob.public(), &entropy).unwrap();
    assert_ne!(one[..32], two[..32]);
    assert_ne!(one[32..], two[32..]);
}

#[test]
fn a_sender_cannot_seal_in_the_name_of_another() {
    let (alice, bob, mallory) = (secret(1), secret(2), secret(3));
    let entropy = Counting::default();
    assert_eq!(
        seal(
            &envelope(&alice, "pay me"),
            &mallory,
            &bob.public(),
            &entropy
        ),
        Err(SealError::NotTheSender)
    );
}

/// Seals any plaintext, as an attacker with a modified wallet would.
fn seal_raw(plaintext: &[u8], recipient: &MessagingKey) -> Vec<u8> {
    let mut padded = plaintext.to_vec();
    padded.resize(512 - SEAL_BYTES, 0);
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &x25519_public(recipient).unwrap(),
            INFO,
            &mut EntropyRng(&Counting::default()),
        )
        .unwrap();
    let ciphertext = context.seal(&padded, recipient.as_bytes()).unwrap();
    [enc.to_bytes().as_slice(), &ciphertext].concat()
}

#[test]
fn a_signature_for_another_message_is_refused() {
    let (alice, bob, carol) = (secret(1), secret(2), secret(3));
    // Bob passes Alice's signed words on to Carol: the signature covers its recipient and its seal.
    let sealed = envelope(&alice, "meet me at noon");
    let body = seal(&sealed, &alice, &bob.public(), &Counting::default()).unwrap();
    let signature = alice.sign(&sealed.signed_bytes(&body[..32], &bob.public()));
    let forwarded = [sealed.encode(), signature.to_vec()].concat();
    assert_eq!(
        open(&seal_raw(&forwarded, &carol.public()), &carol),
        Err(OpenError::BadSignature)
    );
}

#[test]
fn an_envelope_of_another_form_is_refused_by_name() {
    let (alice, bob) = (secret(1), secret(2));
    let plain = [envelope(&alice, "hello").encode(), vec![0; 64]].concat();
    let open_changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut plain = plain.clone();
        change(&mut plain);
        open(&seal_raw(&plain, &bob.public()), &bob).unwrap_err()
    };
    let malformed = |what| OpenError::Envelope(EnvelopeError::Malformed { what });

    assert_eq!(
        open_changed(&|plain| plain[0] = 2),
        OpenError::Envelope(EnvelopeError::UnknownVersion { actual: 2 })
    );
    assert_eq!(
        open_changed(&|plain| plain[129] = 9),
        OpenError::Envelope(EnvelopeError::UnknownKind { actual: 9 })
    );
    assert_eq!(
        open_changed(&|plain| plain[1..33].fill(0)),
        malformed("sender")
    );
    assert_eq!(
        open_changed(&|plain| plain[49..57].fill(0)),
        malformed("counter")
    );
    assert_eq!(
        open_changed(&|plain| plain[130..132].fill(0xff)),
        malformed("length")
    );
    assert_eq!(
        open_changed(&|plain| plain[132] = 0xff),
        malformed("content")
    );
    // What wallets say to each other has no words.
    assert_eq!(open_changed(&|plain| plain[129] = 3), malformed("content"));
    assert_eq!(open_changed(&|plain| plain.push(1)), malformed("padding"));
    assert_eq!(open_changed(&|_| ()), OpenError::BadSignature);
}

#[test]
fn a_body_of_another_size_is_refused_before_it_is_opened() {
    assert_eq!(
        open(&[0; 511], &secret(2)),
        Err(OpenError::Size { actual: 511 })
    );
}

/// Two wallets of different versions must understand each other: keys, randomness and content are
/// fixed here, so the body is too. `docs/client.md` tells how to check another implementation by it.
#[test]
fn the_sealed_form_never_changes() {
    let vector = include_str!("vector.hex").trim();
    let (alice, bob) = (secret(1), secret(2));
    let sealed = envelope(&alice, "Zwei Koffer am Bahnhof.");
    let body = seal(&sealed, &alice, &bob.public(), &Counting::default()).unwrap();
    assert_eq!(hex::encode(&body), vector);
    assert_eq!(
        open(&hex::decode(vector).unwrap(), &bob),
        Ok(sealed.clone())
    );
    assert_eq!(
        hex::encode(sealed.link()),
        "852243bd452d938ca6f51cf312f2413f71ff40a2ae9b1145751fb4ed7014a46d"
    );
}
