//! A wallet that goes on from its words and a backup.

use super::*;
use crate::backup::BackupError;

/// A wallet of the same words in another folder, with a backup in it.
fn restored(person: &Person, path: &Path) -> (Person, Result<RestoredBackup, WalletError>) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, person.fill + 50, &person.url);
    let mut wallet = Wallet::create(seed(person.fill), new_wallet("again", true), options).unwrap();
    let outcome = wallet.import_backup(path);
    let again = Person {
        folder,
        wallet,
        url: person.url.clone(),
        fill: person.fill + 50,
    };
    (again, outcome)
}

#[tokio::test]
async fn a_restored_wallet_goes_on_and_uses_nothing_twice() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = friends(&double).await;
    alice.send("Bob", "before").await;
    double.fail(
        "/v1/queues/",
        Fault::Problem(ProblemCode::Unavailable, Some(31)),
    );
    let outcome = alice.send("Bob", "waiting").await;
    assert!(matches!(outcome, SendOutcome::Waiting(_)), "{outcome:?}");
    let tried = double.requests("/v1/queues/").pop().unwrap();
    let path = alice.folder.path().join("alice.backup");
    alice.wallet.export_backup(&path).unwrap();
    assert!(matches!(
        alice.wallet.export_backup(&path),
        Err(WalletError::FileExists { .. })
    ));

    let (mut again, report) = restored(&alice, &path);
    let report = report.unwrap();
    assert_eq!((report.contacts, report.waiting), (1, 1));
    assert_eq!(report.messages, alice.wallet.records().unwrap().len());
    assert_eq!(
        again.wallet.records().unwrap(),
        alice.wallet.records().unwrap()
    );
    again.wallet.register_client().await.unwrap();
    again.wallet.flush_outbox().await.unwrap();
    let sent = double.requests("/v1/queues/").pop().unwrap();
    let key = |request: &crate::testing::listener::Request| {
        request.header("idempotency-key").unwrap().to_owned()
    };
    assert_ne!(key(&sent), key(&tried));
    assert_ne!(sent.body, tried.body);
    assert_ne!(sent.body[..32], tried.body[..32], "the encapsulated key");
    // The token is still good, and the series is a new one: no counter comes twice.
    assert_eq!(
        texts(&bob.fetch().await),
        [
            ("before", Continuity::Follows),
            ("waiting", Continuity::Begins)
        ]
    );
    bob.send("Alice", "welcome back").await;
    let report = again.fetch().await;
    assert!(matches!(texts(&report)[..], [("welcome back", _)]));
}

#[tokio::test]
async fn a_backup_of_other_words_or_into_a_used_wallet_is_refused() {
    let double = Double::start(NOW).await;
    let (alice, mut bob) = couple(&double).await;
    let path = alice.folder.path().join("alice.backup");
    alice.wallet.export_backup(&path).unwrap();
    assert!(matches!(
        restored(&bob, &path).1,
        Err(WalletError::Backup(BackupError::File(_)))
    ));
    let before = bob.wallet.state().clone();
    assert!(matches!(
        bob.wallet.import_backup(&path),
        Err(WalletError::NotFresh)
    ));
    assert_eq!(*bob.wallet.state(), before);
}

#[tokio::test]
async fn a_restore_that_was_cut_off_can_be_repeated() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    alice.send("Bob", "one").await;
    bob.fetch().await;
    let path = bob.folder.path().join("bob.backup");
    bob.wallet.export_backup(&path).unwrap();
    let (mut again, outcome) = restored(&bob, &path);
    outcome.unwrap();
    // As if the state had not been written: the records are there, and the wallet is still new.
    again.wallet.state = State::default();
    again.wallet.import_backup(&path).unwrap();
    assert_eq!(again.wallet.records().unwrap().len(), 1);
    assert_eq!(again.wallet.state().contacts.len(), 1);
}
