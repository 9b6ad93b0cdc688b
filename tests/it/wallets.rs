//! Wallets of the SDK at a real server: how people become contacts and stop being it, and what outlives a
//! lost phone. Their promises under cut connections and lies are tested beside the SDK.

use std::time::Duration;

use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_client::seed::Seed;
use satpost_client::store::Record;
use satpost_client::wallet::{
    KnockReason, NewWallet, Notice, ReceiveReport, SendOptions, SendOutcome, Wallet, WalletOptions,
};
use satpost_tests::http_server::HttpServer;
use tempfile::TempDir;

/// How long a message may take from one wallet to the other on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A registered wallet whose strangers knock, in a folder of its own.
struct Person {
    wallet: Wallet,
    folder: TempDir,
}

impl Person {
    async fn new(number: u8, name: &str, server: &HttpServer) -> Self {
        let mut person = Self::of_words(number, name, false, server);
        person.wallet.register_client().await.unwrap();
        let policy = StrangerPolicy::Knock;
        person.wallet.set_stranger_policy(policy).await.unwrap();
        person
    }

    fn of_words(number: u8, name: &str, restored: bool, server: &HttpServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = WalletOptions {
            server: Some(server.base()),
            ..WalletOptions::new(&folder.path().join("wallet"))
        };
        let new = NewWallet {
            display_name: name.to_owned(),
            network: None,
            restored,
        };
        let seed = Seed::from_entropy(&[number; 16]).unwrap();
        let wallet = Wallet::create(seed, new, options).unwrap();
        Self { wallet, folder }
    }

    async fn send(&mut self, to: &str, text: &str) -> SendOutcome {
        let options = SendOptions::default();
        self.wallet.send_message(to, text, options).await.unwrap()
    }

    /// Waits for something.
    async fn fetch(&mut self) -> ReceiveReport {
        self.wallet.fetch_messages(PATIENCE).await.unwrap()
    }
}

/// The texts of a report, and whether they knocked.
fn texts(report: &ReceiveReport) -> Vec<(&str, bool)> {
    let text = |record| match record {
        &Record::Received {
            ref text, knock, ..
        } => Some((text.as_str(), knock)),
        _ => None,
    };
    report.records.iter().filter_map(text).collect()
}

/// Two people with each other's cards, after the first message in each direction.
async fn friends(server: &HttpServer) -> (Person, Person) {
    let mut alice = Person::new(1, "Alice", server).await;
    let mut bob = Person::new(2, "Bob", server).await;
    let (alices, bobs) = (
        alice.wallet.show_card(false).await.unwrap(),
        bob.wallet.show_card(false).await.unwrap(),
    );
    alice.wallet.add_contact(&bobs, None).unwrap();
    bob.wallet.add_contact(&alices, None).unwrap();
    let outcome = alice.send("Bob", "hello").await;
    assert!(
        matches!(outcome, SendOutcome::Knocked { .. }),
        "{outcome:?}"
    );
    assert_eq!(texts(&bob.fetch().await), [("hello", true)]);
    let sender = bob.wallet.messaging_key();
    assert_eq!(alice.fetch().await.notices, [Notice::Greeted { sender }]);
    (alice, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_make_contacts_and_contacts_write_without_work() {
    let server = HttpServer::start().await;
    let (mut alice, mut bob) = friends(&server).await;
    let outcome = alice.send("Bob", "lunch?").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    let report = bob.fetch().await;
    assert_eq!(texts(&report), [("lunch?", false)]);
    assert_eq!(report.deleted, 1);
    let outcome = bob.send("Alice", &"x".repeat(9_000)).await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    assert_eq!(alice.fetch().await.records.len(), 1);
    let queue = bob.wallet.get_queue().await.unwrap();
    // Alice's token; the one of Bob's card is spent.
    assert_eq!((queue.messages, queue.delivery_tokens), (0, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_work_for_a_knock_and_removed_contacts_are_strangers() {
    let server = HttpServer::start().await;
    let mut carol = Person::new(3, "Carol", &server).await;
    let mut dave = Person::new(4, "Dave", &server).await;
    let public = dave.wallet.card(false).unwrap();
    carol.wallet.add_contact(&public, None).unwrap();
    let outcome = carol.send("Dave", "we met at the meetup").await;
    assert!(matches!(
        outcome,
        SendOutcome::Knocked {
            reason: KnockReason::NotKnownYet,
            ..
        }
    ));
    let report = dave.fetch().await;
    assert_eq!(texts(&report), [("we met at the meetup", true)]);
    let sender = carol.wallet.messaging_key();
    assert_eq!(report.notices, [Notice::ContactRequested { sender }]);
    let name = dave.wallet.name_of(&sender);
    let accepted = dave.wallet.accept_contact(&name, Some("Carol")).await;
    assert!(matches!(accepted.unwrap().1, SendOutcome::Accepted(_)));
    carol.fetch().await;
    let outcome = carol.send("Dave", "thank you").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)));
    assert_eq!(texts(&dave.fetch().await), [("thank you", false)]);

    let (_, told) = dave.wallet.remove_contact("Carol").await.unwrap();
    assert!(told);
    let outcome = carol.send("Dave", "hello?").await;
    assert!(matches!(
        outcome,
        SendOutcome::Knocked {
            reason: KnockReason::TokenRefused,
            ..
        }
    ));
    assert_eq!(texts(&dave.fetch().await), [("hello?", true)]);
    let policy = StrangerPolicy::Refuse;
    dave.wallet.set_stranger_policy(policy).await.unwrap();
    let outcome = carol.send("Dave", "hello??").await;
    assert!(matches!(outcome, SendOutcome::Refused(_)), "{outcome:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_phone_is_made_up_for_by_words_and_a_backup() {
    let server = HttpServer::start().await;
    let (alice, mut bob) = friends(&server).await;
    let backup = alice.folder.path().join("alice.backup");
    alice.wallet.export_backup(&backup).unwrap();
    bob.send("Alice", "after the backup").await;
    drop(alice.wallet);

    let mut again = Person::of_words(1, "Alice", true, &server);
    again.wallet.import_backup(&backup).unwrap();
    again.wallet.register_client().await.unwrap();
    assert_eq!(texts(&again.fetch().await), [("after the backup", false)]);
    // The tokens are those of before: nobody knocks.
    let outcome = again.send("Bob", "new phone").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    assert_eq!(texts(&bob.fetch().await), [("new phone", false)]);
    let outcome = bob.send("Alice", "welcome back").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    assert_eq!(texts(&again.fetch().await), [("welcome back", false)]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_alone_bring_back_the_mailbox_and_contacts_knock_once() {
    let server = HttpServer::start().await;
    let (alice, mut bob) = friends(&server).await;
    drop(alice.wallet);
    let mut again = Person::of_words(1, "Alice", true, &server);
    again.wallet.register_client().await.unwrap();
    // Bob's token is still good, so Alice hears from him, as of somebody she has forgotten.
    let outcome = bob.send("Alice", "still there?").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    let report = again.fetch().await;
    assert_eq!(texts(&report), [("still there?", false)]);
    let sender = bob.wallet.messaging_key();
    let name = again.wallet.name_of(&sender);
    let accepted = again.wallet.accept_contact(&name, Some("Bob")).await;
    // What he wrote brought the token to answer with.
    assert!(matches!(accepted.unwrap().1, SendOutcome::Accepted(_)));
    bob.fetch().await;
    let outcome = again.send("Bob", "yes").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    assert_eq!(texts(&bob.fetch().await), [("yes", false)]);
    server.stop().await;
}
