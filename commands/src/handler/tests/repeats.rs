//! A command that comes again.

use satpost_domain::limits::COMMANDS_REMEMBERED_MAX;
use satpost_domain::{Metadata, Revision};

use super::*;
use crate::handler::recent_commands::RecentCommands;

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_changes_nothing() {
    let (log, handler) = opened().await;
    let first = ask(&handler, 1, &accept(1)).await.unwrap();
    ask(&handler, 2, &accept(2)).await.unwrap();
    let attempts = log.attempts().len();
    // The repeat drew another message id, as `send_message` does; it must not show.
    let again = ask(&handler, 1, &accept(3)).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.events, first.events);
    assert_eq!(again.position, first.position);
    assert_eq!(log.attempts().len(), attempts);
}

#[tokio::test]
async fn a_repeat_after_a_restart_gets_the_first_answer() {
    let (log, handler) = opened().await;
    let wipe = MailboxCommand::Wipe { at: NOON };
    for number in 1..=3 {
        ask(&handler, number, &accept(number)).await.unwrap();
    }
    let first = ask(&handler, 4, &wipe).await.unwrap();
    assert_eq!(first.events.len(), 3);
    ask(&handler, 5, &accept(5)).await.unwrap();
    let again = ask(&server(&log), 4, &wipe).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.events, first.events);
    assert_eq!(again.position, first.position);
}

#[tokio::test]
async fn refuses_a_known_id_with_another_request() {
    let (log, handler) = opened().await;
    ask(&handler, 1, &accept(1)).await.unwrap();
    let other = CommandContext {
        request_digest: RequestDigest::new([9; 16]),
        ..context(1)
    };
    for handler in [handler, server(&log)] {
        let refused = handler
            .handle::<Mailbox>(&stream(), other, &accept(1), None)
            .await;
        assert!(matches!(refused, Err(CommandError::IdempotencyMismatch)));
    }
}

#[tokio::test]
async fn a_command_that_changed_nothing_is_decided_again() {
    let (_log, handler) = opened().await;
    let wipe = MailboxCommand::Wipe { at: NOON };
    assert!(ask(&handler, 1, &wipe).await.unwrap().events.is_empty());
    ask(&handler, 2, &accept(2)).await.unwrap();
    let again = ask(&handler, 1, &wipe).await.unwrap();
    assert!(!again.repeated);
    assert_eq!(again.events.len(), 1);
}

#[tokio::test]
async fn the_same_id_may_be_used_on_two_streams() {
    let (log, handler) = opened().await;
    let other_key = MessagingKey::from_stored([5; 32]);
    let open = MailboxCommand::Open {
        key: other_key,
        owner: ALICE,
        inherited: None,
        at: NOON,
    };
    let other = StreamId::mailbox(other_key);
    let outcome = handler.handle::<Mailbox>(&other, context(0), &open, None);
    assert!(!outcome.await.unwrap().repeated);
    let ids = [&stream(), &other].map(|stream| log.history(stream)[0].event_id);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn remembers_a_bounded_number_of_commands() {
    let context = |number: u64| CommandContext {
        command_id: CommandId::new(u128::from(number).to_be_bytes()),
        request_digest: RequestDigest::new([0; 16]),
    };
    let mut commands = RecentCommands::default();
    for number in 0..=COMMANDS_REMEMBERED_MAX as u64 {
        let metadata = Metadata {
            command_id: context(number).command_id,
            request_digest: context(number).request_digest,
            recorded_at: NOON,
        };
        let first = Revision(2 * number);
        commands.note(&metadata, first, 1);
        commands.note(&metadata, first.next(), 1);
    }
    assert_eq!(commands.len(), COMMANDS_REMEMBERED_MAX);
    assert_eq!(commands.recall(context(0)), None);
    let Some(Recall::Same(oldest)) = commands.recall(context(1)) else {
        panic!("the oldest of the last commands is remembered");
    };
    assert_eq!((oldest.first.0, oldest.count), (2, 2));
}
