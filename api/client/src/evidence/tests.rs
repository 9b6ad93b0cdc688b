//! What is evidence, and what only looks like it.

use satpost_api_types::messages::Delivery;

use super::*;
use crate::keys::{IdentitySecret, MessagingSecret, RequestKey as _};
use crate::seed::Seed;

fn server(fill: u8) -> IdentitySecret {
    IdentitySecret::derive(&Seed::from_entropy(&[fill; 16]).unwrap())
}

fn mailbox() -> MessagingKey {
    MessagingSecret::derive(&Seed::from_entropy(&[1; 16]).unwrap(), 0).public()
}

fn head(signer: u8, seq: u64, chain: u8) -> SignedHead {
    let chain = ChainHash::new([chain; 32]);
    let signed = head_bytes(mailbox().as_bytes(), seq, chain.as_bytes());
    SignedHead {
        seq,
        chain: chain.to_string(),
        signature: hex::encode(server(signer).sign(&signed)),
    }
}

fn evidence(before: &[SignedHead], now: SignedHead) -> Evidence {
    let at = Timestamp::from_millis(7);
    let key = server(9).client_id();
    let mut evidence = Evidence::new(at, "http://s", key, (mailbox(), 0), "broken".to_owned());
    evidence.heads = before.to_vec();
    evidence.with_answer(FetchMessagesResponse {
        messages: vec![Delivery {
            seq: 1,
            id: String::new(),
            chain: String::new(),
            digest: String::new(),
            accepted_at: 1,
            expires_at: 2,
            knock: false,
            body: Some(b"secret".to_vec().into()),
            gone: None,
            parked: None,
        }],
        more: false,
        cursor: 1,
        head: now,
        full_since: None,
    })
}

#[test]
fn two_signed_chains_for_one_place_contradict_each_other() {
    let told = evidence(&[head(9, 1, 1), head(9, 2, 2)], head(9, 2, 3));
    let (one, two) = told.contradiction().unwrap();
    assert_eq!((one, two), (&head(9, 2, 2), &head(9, 2, 3)));
}

#[test]
fn other_places_and_other_signers_contradict_nobody() {
    assert_eq!(
        evidence(&[head(9, 1, 1)], head(9, 2, 2)).contradiction(),
        None
    );
    assert_eq!(
        evidence(&[head(9, 2, 2)], head(9, 2, 2)).contradiction(),
        None
    );
    // Anyone can write down what the server never signed.
    assert_eq!(
        evidence(&[head(8, 2, 1)], head(9, 2, 2)).contradiction(),
        None
    );
}

#[test]
fn is_kept_without_bodies_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_all(folder.path()).unwrap(), []);
    let kept = evidence(&[head(9, 1, 1)], head(9, 1, 2));
    let name = write(folder.path(), &kept).unwrap();
    assert_eq!(name, "7-0.json");
    let path = path_of(folder.path(), &name);
    fs::write(folder.path().join("evidence/8-0.json"), b"{}").unwrap();
    assert_eq!(read_all(folder.path()).unwrap(), [(path.clone(), kept)]);
    let text = fs::read_to_string(path).unwrap();
    assert!(!text.contains("c2VjcmV0"), "{text}");
}
