//! The promises of the flows, against a server double that cuts connections and lies. The same
//! flows against the real server are in the workspace's end-to-end tests.

use std::time::Duration;

use satpost_api_types::problem::ProblemCode;
use satpost_domain::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::envelope::KIND_TEXT;
use crate::link::Continuity;
use crate::mailbox_check::MailboxMismatch;
use crate::testing::{Counting, Double, Fault, Fixed};

mod backups;
mod strangers;
mod trust;

const NOW: u64 = 1_700_000_000_000;

/// A wallet with its folder.
struct Person {
    folder: TempDir,
    wallet: Wallet,
    url: String,
    fill: u8,
}

impl Person {
    async fn new(fill: u8, name: &str, double: &Double) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder, fill, &double.url);
        let mut wallet = Wallet::create(seed(fill), new_wallet(name, false), options).unwrap();
        wallet.register_client().await.unwrap();
        Self {
            folder,
            wallet,
            url: double.url.clone(),
            fill,
        }
    }

    /// As after a crash: what is not on disk is gone.
    fn reopen(self) -> Self {
        let Self {
            folder,
            wallet,
            url,
            fill,
        } = self;
        drop(wallet);
        let wallet = Wallet::open(options(&folder, fill.wrapping_add(100), &url)).unwrap();
        Self {
            folder,
            wallet,
            url,
            fill,
        }
    }

    async fn fetch(&mut self) -> ReceiveReport {
        self.wallet.fetch_messages(Duration::ZERO).await.unwrap()
    }

    async fn send(&mut self, to: &str, text: &str) -> SendOutcome {
        let options = SendOptions::default();
        self.wallet.send_message(to, text, options).await.unwrap()
    }
}

fn seed(fill: u8) -> Seed {
    Seed::from_entropy(&[fill; 16]).unwrap()
}

fn new_wallet(name: &str, restored: bool) -> NewWallet {
    NewWallet {
        display_name: name.to_owned(),
        network: None,
        restored,
    }
}

fn options(folder: &TempDir, fill: u8, url: &str) -> WalletOptions {
    WalletOptions {
        server: Some(url.to_owned()),
        http: HttpOptions {
            clock: Arc::new(Fixed(Timestamp::from_millis(NOW))),
            entropy: Arc::new(Counting::from(u64::from(fill) << 32)),
            ..HttpOptions::default()
        },
        ..WalletOptions::new(folder.path())
    }
}

/// Alice and Bob, who have written to each other and hold each other's lasting tokens.
async fn friends(double: &Double) -> (Person, Person) {
    let (mut alice, mut bob) = couple(double).await;
    alice.send("Bob", "hello").await;
    bob.fetch().await;
    alice.fetch().await;
    assert!(alice.wallet.contact("Bob").unwrap().lets_us_write());
    assert!(bob.wallet.contact("Alice").unwrap().lets_us_write());
    (alice, bob)
}

/// Alice and Bob, who have each other's cards.
async fn couple(double: &Double) -> (Person, Person) {
    let mut alice = Person::new(1, "Alice", double).await;
    let mut bob = Person::new(2, "Bob", double).await;
    let (alices, bobs) = (
        alice.wallet.show_card(false).await.unwrap(),
        bob.wallet.show_card(true).await.unwrap(),
    );
    alice.wallet.add_contact(&bobs, None).unwrap();
    bob.wallet.add_contact(&alices, None).unwrap();
    (alice, bob)
}

fn texts(report: &ReceiveReport) -> Vec<(&str, Continuity)> {
    report
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Received {
                kind: KIND_TEXT,
                text,
                continuity,
                ..
            } => Some((text.as_str(), *continuity)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn messages_arrive_in_order_and_are_acknowledged_once_stored() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    for text in ["one", "two"] {
        assert!(matches!(
            alice.send("Bob", text).await,
            SendOutcome::Knocked { .. }
        ));
    }
    let report = bob.fetch().await;
    assert_eq!(
        texts(&report),
        [("one", Continuity::Begins), ("two", Continuity::Follows)]
    );
    assert_eq!(report.deleted, 2);
    let mailbox = bob.wallet.messaging_key().to_string();
    assert_eq!(double.world().acknowledged[&mailbox], 2);
    assert_eq!(bob.wallet.records().unwrap(), report.records);
    assert_eq!(bob.wallet.name_of(&alice.wallet.messaging_key()), "Alice");
    assert!(texts(&bob.fetch().await).is_empty());
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_once() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    // Accepted, but no attempt of this call hears of it.
    for _ in 0..4 {
        double.fail("/v1/queues/", Fault::CutAfter);
    }
    assert!(matches!(
        alice.send("Bob", "one").await,
        SendOutcome::Waiting(_)
    ));
    let mut alice = alice.reopen();
    assert!(matches!(
        alice.send("Bob", "two").await,
        SendOutcome::Knocked { .. }
    ));
    assert_eq!(
        texts(&bob.fetch().await),
        [("one", Continuity::Begins), ("two", Continuity::Follows)]
    );
    assert!(alice.wallet.state().outbox.is_empty());
}

#[tokio::test]
async fn a_refused_message_leaves_no_gap() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    // Neither with the token of the card nor with work.
    for _ in 0..2 {
        let refused = Fault::Problem(ProblemCode::DeliveryRefused, None);
        double.fail("/v1/queues/", refused);
    }
    assert!(matches!(
        alice.send("Bob", "lost").await,
        SendOutcome::Refused(_)
    ));
    alice.send("Bob", "one").await;
    assert_eq!(texts(&bob.fetch().await), [("one", Continuity::Begins)]);
}

#[tokio::test]
async fn a_full_mailbox_keeps_the_message_waiting() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    double.fail("/v1/queues/", Fault::Problem(ProblemCode::QueueFull, None));
    assert!(matches!(
        alice.send("Bob", "one").await,
        SendOutcome::Waiting(_)
    ));
    let outcomes = alice.wallet.flush_outbox().await.unwrap();
    assert!(matches!(outcomes[..], [(_, SendOutcome::Knocked { .. })]));
    assert_eq!(texts(&bob.fetch().await), [("one", Continuity::Begins)]);
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_stored() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    alice.send("Bob", "one").await;
    // The disk takes no records: their folder is a file now.
    let records = bob.folder.path().join("records");
    std::fs::remove_dir(&records).unwrap();
    std::fs::write(&records, b"").unwrap();
    assert!(matches!(
        bob.wallet.fetch_messages(Duration::ZERO).await,
        Err(WalletError::Store(_))
    ));
    assert!(double.requests("/v1/messages/ack").is_empty());

    std::fs::remove_file(&records).unwrap();
    let mut bob = bob.reopen();
    assert_eq!(texts(&bob.fetch().await), [("one", Continuity::Begins)]);
}

#[tokio::test]
async fn an_acknowledgement_that_was_cut_off_is_made_up_for() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    alice.send("Bob", "one").await;
    for _ in 0..4 {
        double.fail("/v1/messages/ack", Fault::CutBefore);
    }
    assert!(bob.wallet.fetch_messages(Duration::ZERO).await.is_err());
    let mut bob = bob.reopen();
    assert_eq!(bob.wallet.records().unwrap().len(), 1, "it was stored");
    let report = bob.fetch().await;
    assert_eq!((report.records.len(), report.deleted), (0, 1));
    assert_eq!(bob.wallet.records().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_opened_is_parked_and_does_not_block() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    let mailbox = bob.wallet.messaging_key().to_string();
    alice.send("Bob", "one").await;
    double.world().send(&mailbox, &[0x5a; 512]).unwrap();
    alice.send("Bob", "two").await;

    let report = bob.fetch().await;
    assert_eq!(report.parked, 1);
    assert_eq!(
        texts(&report),
        [("one", Continuity::Begins), ("two", Continuity::Follows)]
    );
    assert!(matches!(report.records[1], Record::Unreadable { .. }));
    let world = double.world();
    assert_eq!(world.acknowledged[&mailbox], 3);
    let left: Vec<_> = world.mailboxes[&mailbox]
        .iter()
        .map(|delivery| (delivery.seq, delivery.parked.as_deref()))
        .collect();
    assert_eq!(left, [(2, Some("decrypt"))]);
}

#[tokio::test]
async fn a_replayed_message_is_dropped() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    let mailbox = bob.wallet.messaging_key().to_string();
    alice.send("Bob", "pay me once").await;
    let sent = double.requests("/v1/queues/").remove(0);
    double.world().send(&mailbox, &sent.body).unwrap();
    let report = bob.fetch().await;
    assert_eq!(texts(&report).len(), 1);
    let sender = alice.wallet.messaging_key();
    assert_eq!(report.notices, [Notice::Replayed { sender, counter: 1 }]);
    assert_eq!(report.deleted, 2);
}

#[tokio::test]
async fn a_server_that_loses_a_message_is_found_out_and_nothing_is_acknowledged() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    let mailbox = bob.wallet.messaging_key().to_string();
    for text in ["one", "two", "three"] {
        alice.send("Bob", text).await;
    }
    double
        .world()
        .mailboxes
        .get_mut(&mailbox)
        .unwrap()
        .remove(1);
    let error = bob.wallet.fetch_messages(Duration::ZERO).await.unwrap_err();
    assert!(
        matches!(
            error,
            WalletError::Mailbox {
                generation: 0,
                mismatch: MailboxMismatch::Sequence {
                    expected: 2,
                    actual: 3
                },
                evidence: Some(_),
            }
        ),
        "{error:?}"
    );
    assert!(double.requests("/v1/messages/ack").is_empty());
    assert_eq!(bob.wallet.records().unwrap(), []);
}

#[tokio::test]
async fn a_contact_follows_a_rotation_and_both_mailboxes_are_read() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    bob.send("Alice", "to the old key").await;
    let old = alice.wallet.messaging_key();
    let new = alice.wallet.rotate_messaging_key().await.unwrap();
    assert_ne!(old, new);
    alice.send("Bob", "from the new key").await;

    let report = bob.fetch().await;
    let changed = Notice::ContactChanged {
        name: "Alice".to_owned(),
    };
    assert_eq!(report.notices, [changed]);
    assert_eq!(
        texts(&report),
        [("from the new key", Continuity::Follows)],
        "the series goes on across the rotation"
    );
    bob.send("Alice", "to the new key").await;
    assert_eq!(
        texts(&alice.fetch().await),
        [
            ("to the old key", Continuity::Begins),
            ("to the new key", Continuity::Follows)
        ]
    );
    assert_eq!(bob.wallet.name_of(&new), "Alice");
    assert_eq!(bob.wallet.name_of(&old), "Alice");
}

#[tokio::test]
async fn a_restored_wallet_finds_its_key_its_addresses_and_its_mailbox() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    bob.wallet.rotate_messaging_key().await.unwrap();
    alice.fetch().await;
    let mut addresses = Vec::new();
    for _ in 0..3 {
        addresses.push(bob.wallet.new_address().unwrap());
    }
    bob.wallet.watch_addresses(&addresses[2..]).await.unwrap();
    alice.send("Bob", "before").await;
    bob.fetch().await;
    alice.send("Bob", "after").await;

    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, 50, &double.url);
    let mut again = Wallet::create(seed(2), new_wallet("Bob", true), options).unwrap();
    again.register_client().await.unwrap();
    assert_eq!(again.messaging_key(), bob.wallet.messaging_key());
    assert_eq!(again.state().next_address, 3);
    let report = again.fetch_messages(Duration::ZERO).await.unwrap();
    let sender = alice.wallet.messaging_key();
    assert_eq!(
        report.notices,
        [
            Notice::MailboxJoined { seq: 3 },
            Notice::ContactRequested { sender }
        ]
    );
    assert!(matches!(
        texts(&report)[..],
        [("after", Continuity::Gap { .. })]
    ));

    // The other installation is told that something else reads its mailbox.
    alice.send("Bob", "third").await;
    again.fetch_messages(Duration::ZERO).await.unwrap();
    alice.send("Bob", "fourth").await;
    assert!(matches!(
        bob.wallet.fetch_messages(Duration::ZERO).await,
        Err(WalletError::Mailbox { .. })
    ));
    bob.wallet.resynchronise().unwrap();
    assert!(matches!(
        texts(&bob.fetch().await)[..],
        [("fourth", Continuity::Gap { missing: 2 })]
    ));
}

#[tokio::test]
async fn another_server_under_the_same_address_is_noticed() {
    let double = Double::start(NOW).await;
    let mut alice = Person::new(1, "Alice", &double).await;
    alice.wallet.state.server.key = Some([1; 32]);
    assert!(matches!(
        alice.wallet.register_client().await,
        Err(WalletError::ServerKeyChanged { .. })
    ));
    alice.wallet.state.network = Some("mainnet".to_owned());
    assert!(matches!(
        alice.wallet.register_client().await,
        Err(WalletError::NetworkMismatch { .. })
    ));
}

#[tokio::test]
async fn contacts_have_one_name_each_and_never_the_own_card() {
    let double = Double::start(NOW).await;
    let (mut alice, _bob) = couple(&double).await;
    let carol = Person::new(3, "Bob", &double).await;
    let card = carol.wallet.card(false).unwrap();
    assert!(matches!(
        alice.wallet.add_contact(&card, None),
        Err(WalletError::ContactNameTaken { .. })
    ));
    alice.wallet.add_contact(&card, Some("Carol")).unwrap();
    // The same key again is the same contact under another name.
    alice.wallet.add_contact(&card, Some("Carla")).unwrap();
    let names: Vec<_> = alice
        .wallet
        .state()
        .contacts
        .iter()
        .map(|c| &c.name)
        .collect();
    assert_eq!(names, ["Bob", "Carla"]);
    let own = alice.wallet.card(false).unwrap();
    assert!(matches!(
        alice.wallet.add_contact(&own, Some("me")),
        Err(WalletError::OwnCard)
    ));
}

#[tokio::test]
async fn imports_a_long_list_in_parts_and_tells_how_far_it_is() {
    const MANY: usize = 45_000;
    let double = Double::start(NOW).await;
    let (mut alice, _) = couple(&double).await;
    let lines: String = (0..MANY).map(|number| format!("\"a{number}\"\n")).collect();
    let mut progress = Vec::new();
    let sum = alice
        .wallet
        .import_addresses((lines + "nonsense").as_bytes(), |sum| {
            progress.push(sum.added);
        })
        .await
        .unwrap();
    assert_eq!((sum.lines, sum.added, sum.refused), (MANY + 1, MANY, 1));
    assert_eq!(sum.errors[0].line, MANY + 1);
    assert_eq!(progress, [20_000, 40_000, MANY]);
    assert!(alice.wallet.state().watched.is_empty());
}
