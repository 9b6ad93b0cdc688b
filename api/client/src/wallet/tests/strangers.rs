//! Who may write: cards, knocks, tokens and what wallets say to each other about them.

use satpost_api_types::header;
use satpost_api_types::mailboxes::StrangerPolicy;

use super::*;
use crate::contact_card::ContactCard;
use crate::envelope::KNOCK_CONTENT_BYTES_MAX;
use crate::store::Standing;

/// How the last message was let in: by a token, by work, by a signature.
fn last_sent(double: &Double) -> (bool, bool, bool) {
    let sent = double.requests("/v1/queues/").pop().unwrap();
    let has = |name| sent.header(name).is_some();
    (
        has(header::DELIVERY_TOKEN),
        has(header::PROOF_OF_WORK),
        has("signature"),
    )
}

const TOKEN: (bool, bool, bool) = (true, false, false);
const WORK: (bool, bool, bool) = (false, true, false);
const SIGNATURE: (bool, bool, bool) = (false, false, true);

#[tokio::test]
async fn the_first_message_shows_the_cards_token_and_those_after_it_work() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    alice.send("Bob", "one").await;
    assert_eq!(last_sent(&double), TOKEN);
    alice.send("Bob", "two").await;
    assert_eq!(last_sent(&double), WORK);
    // Bob's wallet answers the knocks of a contact with one token, and Alice need not work any more.
    let report = bob.fetch().await;
    assert_eq!(texts(&report).len(), 2);
    assert!(bob.wallet.state().outbox.is_empty());
    let report = alice.fetch().await;
    let sender = bob.wallet.messaging_key();
    assert_eq!(report.notices, [Notice::Greeted { sender }]);
    assert_eq!(report.records, [], "a greeting has no words");
    let outcome = alice.send("Bob", "three").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    assert_eq!(last_sent(&double), TOKEN);
    assert_eq!(texts(&bob.fetch().await), [("three", Continuity::Follows)]);
}

#[tokio::test]
async fn nothing_the_server_sees_names_the_sender() {
    let double = Double::start(NOW).await;
    let (mut alice, _bob) = friends(&double).await;
    alice.send("Bob", "one").await;
    let sent = double.requests("/v1/queues/").pop().unwrap();
    let names: Vec<_> = sent.headers.keys().map(String::as_str).collect();
    let expected = [
        "accept",
        "content-digest",
        "content-length",
        "content-type",
        "delivery-token",
        "host",
        "idempotency-key",
        "user-agent",
    ];
    assert_eq!(names, expected);
    let said = format!("{:?}{}", sent.headers, sent.path);
    for key in [
        alice.wallet.client_id().to_string(),
        alice.wallet.messaging_key().to_string(),
    ] {
        assert!(!said.contains(&key));
    }
}

#[tokio::test]
async fn a_stranger_knocks_and_writes_freely_once_accepted() {
    let double = Double::start(NOW).await;
    let mut alice = Person::new(1, "Alice", &double).await;
    let mut bob = Person::new(2, "Bob", &double).await;
    let public = bob.wallet.card(false).unwrap();
    alice.wallet.add_contact(&public, None).unwrap();
    let outcome = alice.send("Bob", "do you remember me?").await;
    assert!(matches!(
        outcome,
        SendOutcome::Knocked {
            reason: KnockReason::NotKnownYet,
            ..
        }
    ));
    assert_eq!(last_sent(&double), WORK);

    let report = bob.fetch().await;
    let sender = alice.wallet.messaging_key();
    assert_eq!(report.notices, [Notice::ContactRequested { sender }]);
    assert!(matches!(
        report.records[..],
        [Record::Received {
            knock: true,
            contact: None,
            ..
        }]
    ));
    let name = bob.wallet.name_of(&sender);
    assert_eq!(
        bob.wallet.contact(&name).unwrap().standing,
        Standing::Requested
    );
    let refused = bob.wallet.send_message(&name, "no", SendOptions::default());
    assert!(matches!(
        refused.await,
        Err(WalletError::NotAccepted { .. })
    ));

    let (contact, outcome) = bob
        .wallet
        .accept_contact(&name, Some("Alice"))
        .await
        .unwrap();
    assert_eq!(
        (contact.name.as_str(), contact.standing),
        ("Alice", Standing::Accepted)
    );
    assert!(matches!(outcome, SendOutcome::Accepted(_)), "{outcome:?}");
    alice.fetch().await;
    let outcome = alice.send("Bob", "thank you").await;
    assert!(matches!(outcome, SendOutcome::Accepted(_)));
    let report = bob.fetch().await;
    assert!(matches!(
        &report.records[..],
        [Record::Received { knock: false, contact: Some(_), text, .. }] if text == "thank you"
    ));
}

#[tokio::test]
async fn a_removed_contact_is_a_stranger_again_and_is_told_so() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = friends(&double).await;
    let (removed, told) = bob.wallet.remove_contact("Alice").await.unwrap();
    assert_eq!((removed.name.as_str(), told), ("Alice", true));
    assert!(bob.wallet.state().contacts.is_empty());
    let outcome = alice.send("Bob", "hello?").await;
    assert!(matches!(
        outcome,
        SendOutcome::Knocked {
            reason: KnockReason::TokenRefused,
            ..
        }
    ));
    assert_eq!(last_sent(&double), WORK);
    let sender = alice.wallet.messaging_key();
    let report = bob.fetch().await;
    assert_eq!(report.notices, [Notice::ContactRequested { sender }]);
    // A long message cannot come in as a knock, and the sender hears it before it is written down.
    let long = "x".repeat(KNOCK_CONTENT_BYTES_MAX + 1);
    let refused = alice
        .wallet
        .send_message("Bob", &long, SendOptions::default());
    assert!(matches!(
        refused.await,
        Err(WalletError::TooLongForStranger { .. })
    ));
    assert!(alice.wallet.state().outbox.is_empty());
}

#[tokio::test]
async fn a_token_that_could_not_be_revoked_is_revoked_later() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = friends(&double).await;
    for _ in 0..4 {
        double.fail("/v1/delivery-tokens", Fault::CutBefore);
    }
    let (_, told) = bob.wallet.remove_contact("Alice").await.unwrap();
    assert!(!told);
    let mut bob = bob.reopen();
    bob.wallet.flush_outbox().await.unwrap();
    assert!(bob.wallet.state().to_revoke.is_empty());
    let outcome = alice.send("Bob", "hello?").await;
    assert!(matches!(outcome, SendOutcome::Knocked { .. }));
}

#[tokio::test]
async fn no_message_carries_a_token_before_the_server_knows_it() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = couple(&double).await;
    for _ in 0..4 {
        double.fail("/v1/delivery-tokens", Fault::CutBefore);
    }
    let outcome = alice.send("Bob", "one").await;
    assert!(matches!(outcome, SendOutcome::Waiting(_)), "{outcome:?}");
    assert!(double.requests("/v1/queues/").is_empty());

    let mut alice = alice.reopen();
    alice.wallet.flush_outbox().await.unwrap();
    bob.fetch().await;
    bob.send("Alice", "two").await;
    assert_eq!(last_sent(&double), TOKEN);
    let report = alice.fetch().await;
    assert!(matches!(
        report.records[..],
        [Record::Received { knock: false, .. }]
    ));
}

#[tokio::test]
async fn the_policy_decides_about_strangers_and_an_open_mailbox_takes_a_name() {
    let double = Double::start(NOW).await;
    let mut alice = Person::new(1, "Alice", &double).await;
    let bob = Person::new(2, "Bob", &double).await;
    let public = bob.wallet.card(false).unwrap();
    alice.wallet.add_contact(&public, None).unwrap();
    let signed = SendOptions {
        signed: true,
        ..SendOptions::default()
    };
    for (policy, by_name, by_work) in [
        (StrangerPolicy::Refuse, false, false),
        (StrangerPolicy::Knock, false, true),
        (StrangerPolicy::Open, true, true),
    ] {
        bob.wallet.set_stranger_policy(policy).await.unwrap();
        let sent = alice.wallet.send_message("Bob", "hello", signed).await;
        assert_eq!(last_sent(&double), SIGNATURE);
        let taken = matches!(sent.unwrap(), SendOutcome::Accepted(_));
        assert_eq!(taken, by_name, "{policy:?}");
        let outcome = alice.send("Bob", "hello").await;
        let taken = matches!(outcome, SendOutcome::Knocked { .. });
        assert_eq!(taken, by_work, "{policy:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_too_much_work_gets_none() {
    let double = Double::start(NOW).await;
    let mut alice = Person::new(1, "Alice", &double).await;
    let bob = Person::new(2, "Bob", &double).await;
    let public = bob.wallet.card(false).unwrap();
    alice.wallet.add_contact(&public, None).unwrap();
    alice.wallet.options.work_bits_max = 3;
    let outcome = alice.send("Bob", "hello").await;
    assert!(matches!(
        outcome,
        SendOutcome::TooMuchWork { bits: 4, max: 3 }
    ));
    assert_eq!(alice.wallet.state().outbox.len(), 1, "it waits");
}

#[tokio::test]
async fn only_the_latest_cards_are_good() {
    let double = Double::start(NOW).await;
    let mut bob = Person::new(2, "Bob", &double).await;
    let mailbox = bob.wallet.messaging_key().to_string();
    let first = bob.wallet.show_card(false).await.unwrap();
    let hash = |card: &ContactCard| card.token().unwrap().hash().to_string();
    assert!(double.world().doors.tokens[&mailbox].contains_key(&hash(&first)));
    for _ in 0..CARD_TOKENS_MAX {
        bob.wallet.show_card(false).await.unwrap();
    }
    let world = double.world();
    let tokens = &world.doors.tokens[&mailbox];
    assert_eq!(tokens.len(), CARD_TOKENS_MAX);
    assert!(!tokens.contains_key(&hash(&first)));
}

#[tokio::test]
async fn a_message_for_a_former_key_is_opened() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = friends(&double).await;
    let new = bob.wallet.rotate_messaging_key().await.unwrap().to_string();
    alice.send("Bob", "to the old key").await;
    // The server passes on what comes to the old mailbox.
    let sent = double.requests("/v1/queues/").pop().unwrap();
    double.world().empty_mailboxes();
    double.world().send(&new, &sent.body).unwrap();
    bob.wallet
        .state
        .mailboxes
        .retain(|mailbox| mailbox.generation == 1);
    let report = bob.fetch().await;
    assert_eq!(texts(&report), [("to the old key", Continuity::Follows)]);
    assert_eq!(report.parked, 0);
}

#[tokio::test]
async fn contacts_hear_once_that_a_full_mailbox_has_room_again() {
    let double = Double::start(NOW).await;
    let (mut alice, mut bob) = friends(&double).await;
    let mailbox = bob.wallet.messaging_key().to_string();
    alice.send("Bob", "one").await;
    double.world().doors.full.insert(mailbox.clone());
    let outcome = alice.send("Bob", "two").await;
    assert!(matches!(outcome, SendOutcome::Waiting(_)));
    // The server's time has not come: nothing is tried again before that.
    let tried = double.requests("/v1/queues/").len();
    let mut alice = alice.reopen();
    assert!(alice.wallet.flush_outbox().await.unwrap().is_empty());
    assert!(matches!(
        alice.send("Bob", "three").await,
        SendOutcome::Queued
    ));
    assert_eq!(double.requests("/v1/queues/").len(), tried);

    assert_eq!(texts(&bob.fetch().await), [("one", Continuity::Follows)]);
    let sender = bob.wallet.messaging_key();
    let report = alice.fetch().await;
    assert_eq!(report.notices, [Notice::RoomAgain { sender }]);
    assert!(alice.wallet.state().outbox.is_empty(), "both are sent");
    assert_eq!(
        texts(&bob.fetch().await),
        [("two", Continuity::Follows), ("three", Continuity::Follows)]
    );
    assert_eq!(alice.fetch().await.notices, [], "it is told once");
}
