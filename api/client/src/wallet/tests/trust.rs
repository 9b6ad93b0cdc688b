//! What the wallet does when a server's account does not hold.

use super::*;

#[tokio::test]
async fn a_missing_receipt_of_deletion_stops_the_wallet_until_it_is_told_to_go_on() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    alice.send("Bob", "one").await;
    double.world().signs_deletions = false;
    let error = bob.wallet.fetch_messages(Duration::ZERO).await.unwrap_err();
    let WalletError::Mailbox {
        mismatch: MailboxMismatch::NoDeletionReceipt { through: 1 },
        evidence: Some(path),
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(path.starts_with(bob.folder.path()));
    assert_eq!(bob.wallet.records().unwrap().len(), 1, "it was stored");
    double.world().signs_deletions = true;
    let mut bob = bob.reopen();
    let asked = double.requests("/v1/messages").len();
    let again = bob.wallet.fetch_messages(Duration::ZERO).await;
    assert!(
        matches!(&again, Err(WalletError::Halted { evidence, .. }) if *evidence == path),
        "{again:?}"
    );
    assert_eq!(double.requests("/v1/messages").len(), asked);

    let evidence = bob.wallet.evidence().unwrap();
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].0, path);
    assert_eq!(evidence[0].1.known.map(|head| head.seq), Some(1));
    assert_eq!(evidence[0].1.heads.len(), 1);
    assert_eq!(evidence[0].1.contradiction(), None);

    bob.wallet.resynchronise().unwrap();
    alice.send("Bob", "two").await;
    assert_eq!(texts(&bob.fetch().await), [("two", Continuity::Follows)]);
    assert_eq!(bob.wallet.evidence().unwrap().len(), 1, "it is kept");
}

#[tokio::test]
async fn two_signed_pasts_are_kept_as_a_contradiction() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    let mailbox = bob.wallet.messaging_key().to_string();
    alice.send("Bob", "one").await;
    bob.fetch().await;
    // The server was set back, and has taken another message since.
    double.world().set_back(&mailbox);
    double.world().send(&mailbox, &[0x5a; 512]).unwrap();
    let error = bob.wallet.fetch_messages(Duration::from_secs(1)).await;
    assert!(
        matches!(
            error,
            Err(WalletError::Mailbox {
                mismatch: MailboxMismatch::Chain { seq: 1 },
                ..
            })
        ),
        "{error:?}"
    );
    let evidence = bob.wallet.evidence().unwrap();
    let (one, two) = evidence[0].1.contradiction().unwrap();
    assert_eq!((one.seq, two.seq), (1, 1));
    let text = std::fs::read_to_string(&evidence[0].0).unwrap();
    assert!(!text.contains("\"body\""), "{text}");
}

#[tokio::test]
async fn receipts_and_heads_are_kept_within_bounds() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    for _ in 0..20 {
        alice.send("Bob", "again").await;
        bob.fetch().await;
        alice.fetch().await;
    }
    let mailbox = &bob.wallet.state().mailboxes[0];
    assert_eq!((mailbox.heads.len(), mailbox.receipts.len()), (16, 16));
    assert_eq!(
        mailbox.receipts.last().unwrap().through,
        mailbox.acknowledged
    );
}
