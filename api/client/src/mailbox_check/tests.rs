//! A server that can lie in every way this module knows.

use satpost_domain::ids::ChainHash;

use super::*;
use crate::keys::{IdentitySecret, MessagingSecret, RequestKey as _};
use crate::seed::Seed;

/// The key a lying server signs with; it can sign anything.
fn server() -> IdentitySecret {
    IdentitySecret::derive(&Seed::from_entropy(&[9; 16]).unwrap())
}

fn mailbox() -> MessagingKey {
    MessagingSecret::derive(&Seed::from_entropy(&[1; 16]).unwrap(), 0).public()
}

fn start() -> Option<VerifiedHead> {
    Some(VerifiedHead::start(&mailbox()))
}

fn sign_head(seq: u64, chain: ChainHash) -> SignedHead {
    let signature = server().sign(&head_bytes(mailbox().as_bytes(), seq, chain.as_bytes()));
    SignedHead {
        seq,
        chain: chain.to_string(),
        signature: hex::encode(signature),
    }
}

/// Messages 1 to `count`.
fn answer(count: u8) -> FetchMessagesResponse {
    let mut head = VerifiedHead::start(&mailbox());
    let mut messages = Vec::new();
    for number in 1..=count {
        let body = vec![number; 512];
        let (id, digest) = (MessageId::new([number; 16]), sha256(&body));
        head.seq += 1;
        head.chain = extend_chain(head.chain, head.seq, id, digest);
        messages.push(Delivery {
            seq: head.seq,
            id: id.to_string(),
            chain: head.chain.to_string(),
            digest: digest.to_string(),
            accepted_at: 1,
            expires_at: 2,
            knock: false,
            body: Some(body.into()),
            gone: None,
            parked: None,
        });
    }
    FetchMessagesResponse {
        messages,
        more: false,
        cursor: head.seq,
        head: sign_head(head.seq, head.chain),
        full_since: None,
    }
}

fn check(
    known: Option<VerifiedHead>,
    answer: &FetchMessagesResponse,
) -> Result<Vec<VerifiedMessage>, MailboxMismatch> {
    check_mailbox(&mailbox(), &server().client_id(), known, answer)
}

#[test]
fn an_honest_answer_is_taken_and_can_be_continued() {
    let all = answer(4);
    let verified = check(start(), &all).unwrap();
    assert_eq!(verified.len(), 4);
    assert_eq!(verified[1].body, Some(vec![2; 512]));

    let mut rest = all.clone();
    rest.messages.drain(..2);
    let verified = check(Some(verified[1].head), &rest).unwrap();
    assert_eq!(verified.len(), 2);
}

#[test]
fn a_tombstone_keeps_its_place() {
    let mut answer = answer(3);
    answer.messages[1].body = None;
    answer.messages[1].gone = Some("expired".to_owned());
    let verified = check(start(), &answer).unwrap();
    assert_eq!(verified[1].gone.as_deref(), Some("expired"));
    assert_eq!(verified[1].body, None);
}

#[test]
fn a_restored_wallet_takes_the_first_message_on_the_servers_word() {
    let mut answer = answer(4);
    answer.messages.drain(..2);
    assert_eq!(check(None, &answer).unwrap().len(), 2);
    answer.messages[1].chain = ChainHash::new([0; 32]).to_string();
    assert_eq!(check(None, &answer), Err(MailboxMismatch::Chain { seq: 4 }));
}

#[test]
fn a_left_out_message_is_noticed() {
    let mut answer = answer(3);
    answer.messages.remove(1);
    assert_eq!(
        check(start(), &answer),
        Err(MailboxMismatch::Sequence {
            expected: 2,
            actual: 3
        })
    );
    // Renumbering does not help the server: the chain covers the number.
    answer.messages[1].seq = 2;
    assert_eq!(
        check(start(), &answer),
        Err(MailboxMismatch::Chain { seq: 2 })
    );
}

#[test]
fn a_cut_off_end_is_noticed() {
    let mut answer = answer(3);
    answer.messages.pop();
    assert_eq!(
        check(start(), &answer),
        Err(MailboxMismatch::Head {
            signed: 3,
            delivered: 2
        })
    );
}

#[test]
fn an_exchanged_body_is_noticed_even_with_its_digest() {
    let mut answer = answer(2);
    let body = vec![7; 512];
    answer.messages[0].body = Some(body.clone().into());
    assert_eq!(
        check(start(), &answer),
        Err(MailboxMismatch::Digest { seq: 1 })
    );
    answer.messages[0].digest = sha256(&body).to_string();
    assert_eq!(
        check(start(), &answer),
        Err(MailboxMismatch::Chain { seq: 1 })
    );
}

#[test]
fn another_past_is_noticed_without_any_message() {
    let honest = check(start(), &answer(2)).unwrap()[1].head;
    let nothing = |head: SignedHead| FetchMessagesResponse {
        messages: Vec::new(),
        more: false,
        cursor: head.seq,
        head,
        full_since: None,
    };
    assert_eq!(
        check(Some(honest), &nothing(sign_head(2, honest.chain))),
        Ok(Vec::new())
    );
    assert_eq!(
        check(
            Some(honest),
            &nothing(sign_head(2, ChainHash::new([3; 32])))
        ),
        Err(MailboxMismatch::Chain { seq: 2 })
    );
    let rolled_back = check(start(), &answer(2)).unwrap()[0].head;
    assert_eq!(
        check(Some(honest), &nothing(sign_head(1, rolled_back.chain))),
        Err(MailboxMismatch::Head {
            signed: 1,
            delivered: 2
        })
    );
}

#[test]
fn a_head_of_another_key_or_mailbox_is_refused() {
    let mut answer = answer(1);
    let other = IdentitySecret::derive(&Seed::from_entropy(&[8; 16]).unwrap());
    assert_eq!(
        check_mailbox(&mailbox(), &other.client_id(), start(), &answer),
        Err(MailboxMismatch::HeadSignature)
    );
    answer.head.signature = answer.head.signature.replacen(['0', '1'], "2", 1);
    assert_eq!(check(start(), &answer), Err(MailboxMismatch::HeadSignature));
}

#[test]
fn a_message_without_body_needs_a_reason() {
    let mut answer = answer(1);
    answer.messages[0].body = None;
    assert_eq!(
        check(start(), &answer),
        Err(MailboxMismatch::NoBody { seq: 1 })
    );
}

/// What the server answers to an acknowledgement through `head`, signed for `signed`.
fn receipt_for(signed: VerifiedHead, deleted: u64) -> AcknowledgeMessagesResponse {
    let scope = DeletionScope::Through {
        through: signed.seq,
        chain: *signed.chain.as_bytes(),
    };
    let bytes = deletion_receipt_bytes(mailbox().as_bytes(), &scope, deleted, 5);
    AcknowledgeMessagesResponse {
        deleted,
        at: Some(5),
        receipt: Some(hex::encode(server().sign(&bytes))),
    }
}

#[test]
fn a_receipt_of_deletion_is_for_what_was_acknowledged() {
    let check = |head, answer: &AcknowledgeMessagesResponse| {
        check_deletion(&mailbox(), &server().client_id(), head, answer)
    };
    let all = check_mailbox(&mailbox(), &server().client_id(), start(), &answer(2)).unwrap();
    let (first, second) = (all[0].head, all[1].head);
    let good = receipt_for(second, 2);
    let kept = check(second, &good).unwrap();
    assert_eq!((kept.through, kept.deleted), (2, 2));

    let forged = Err(MailboxMismatch::DeletionReceipt { through: 2 });
    assert_eq!(check(second, &receipt_for(first, 2)), forged);
    let mut changed = good.clone();
    changed.deleted = 1;
    assert_eq!(check(second, &changed), forged);
    changed = good.clone();
    changed.at = Some(6);
    assert_eq!(check(second, &changed), forged);
    changed = good.clone();
    changed.receipt = Some("no signature".to_owned());
    assert_eq!(check(second, &changed), forged);
    changed = good;
    changed.receipt = None;
    let missing = Err(MailboxMismatch::NoDeletionReceipt { through: 2 });
    assert_eq!(check(second, &changed), missing);
}
