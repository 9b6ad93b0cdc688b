//! What the handler promises.

mod conflicts;
mod repeats;
mod unknown_outcomes;

use std::sync::{Arc, LazyLock};

use satpost_domain::hash::sha256;
use satpost_domain::mailbox::{Introduction, Mailbox, MailboxCommand, MailboxError, MailboxEvent};
use satpost_domain::{
    ClientId, CommandId, Event, MessageId, MessagingKey, Position, RequestDigest, StreamId,
    Timestamp,
};

use super::*;
use crate::testing::{CountingIds, Fault, FaultyLog, StepClock};

const KEY: MessagingKey = MessagingKey::from_stored([1; 32]);
const ALICE: ClientId = ClientId::from_stored([2; 32]);
const NOON: Timestamp = Timestamp::from_millis(1_000_000);
/// Lets a stranger in.
const WORKER: Introduction = Introduction {
    token: None,
    has_worked: true,
    is_registered: false,
};

/// As ids are drawn at random, no two servers draw the same.
static IDS: LazyLock<Arc<CountingIds>> = LazyLock::new(Arc::default);

/// A server on `log`; a second one on the same log is a restart, or another server. Their clocks
/// show the same time.
fn server(log: &Arc<FaultyLog>) -> Handler {
    Handler::new(
        Arc::clone(log) as Arc<dyn EventLog>,
        Arc::new(StepClock::new(NOON)),
        Arc::clone(&IDS) as Arc<dyn IdSource>,
    )
}

const fn context(number: u8) -> CommandContext {
    CommandContext {
        command_id: CommandId::new([number; 16]),
        request_digest: RequestDigest::new([number; 16]),
    }
}

fn stream() -> StreamId {
    StreamId::mailbox(KEY)
}

const OPEN: MailboxCommand = MailboxCommand::Open {
    key: KEY,
    owner: ALICE,
    inherited: None,
    at: NOON,
};

fn accept(number: u8) -> MailboxCommand {
    MailboxCommand::Accept {
        id: MessageId::new([number; 16]),
        digest: sha256(&[number]),
        size: 512,
        ttl: None,
        introduction: WORKER,
        at: NOON,
    }
}

async fn ask(
    handler: &Handler,
    number: u8,
    command: &MailboxCommand,
) -> Result<Outcome<MailboxEvent>, CommandError<MailboxError>> {
    handler
        .handle::<Mailbox>(&stream(), context(number), command, None)
        .await
}

/// An open mailbox on a new log, and the server that opened it.
async fn opened() -> (Arc<FaultyLog>, Handler) {
    let log = Arc::new(FaultyLog::default());
    let handler = server(&log);
    ask(&handler, 0, &OPEN).await.unwrap();
    (log, handler)
}

#[tokio::test]
async fn answers_with_the_events_and_the_position_of_the_last_of_them() {
    let (log, handler) = opened().await;
    let outcome = ask(&handler, 1, &accept(1)).await.unwrap();
    assert_eq!(outcome.position, Position::new(2, 0));
    assert!(!outcome.repeated);
    let last = log.history(&stream()).pop().unwrap();
    assert_eq!(last.event, Event::Mailbox(outcome.events[0].clone()));
    assert_eq!(last.metadata.command_id, context(1).command_id);
}

#[tokio::test]
async fn reads_nothing_for_a_command_on_a_warm_stream() {
    let (log, handler) = opened().await;
    let reads = log.reads();
    for number in 1..10 {
        ask(&handler, number, &accept(number)).await.unwrap();
    }
    assert_eq!(log.reads(), reads);
}

#[tokio::test]
async fn a_refusal_keeps_the_state_and_says_nothing_changed() {
    let (log, handler) = opened().await;
    let appended = log.attempts().len();
    let rival_open = MailboxCommand::Open {
        key: KEY,
        owner: ClientId::from_stored([9; 32]),
        inherited: None,
        at: NOON,
    };
    let refused = ask(&handler, 1, &rival_open).await;
    assert!(matches!(
        refused,
        Err(CommandError::Rejected(MailboxError::OwnedByAnother))
    ));
    assert_eq!(log.attempts().len(), appended);
}

#[tokio::test]
async fn an_answer_without_events_names_the_end_of_the_stream() {
    let (_log, handler) = opened().await;
    ask(&handler, 1, &accept(1)).await.unwrap();
    let outcome = ask(&handler, 2, &OPEN).await.unwrap();
    assert!(outcome.events.is_empty());
    assert_eq!(outcome.position, Position::new(2, 0));
}

#[tokio::test]
async fn folds_long_streams_page_by_page() {
    let (log, handler) = opened().await;
    for number in 0..1_200_u32 {
        let command = match number % 2 {
            0 => accept(1),
            _ => MailboxCommand::Wipe { at: NOON },
        };
        let context = CommandContext {
            command_id: CommandId::new(u128::from(number).to_be_bytes()),
            request_digest: RequestDigest::new([0; 16]),
        };
        handler
            .handle::<Mailbox>(&stream(), context, &command, None)
            .await
            .unwrap();
    }
    let live = handler.state::<Mailbox>(&stream()).await.unwrap();
    let reads = log.reads();
    let folded = server(&log).state::<Mailbox>(&stream()).await.unwrap();
    assert_eq!(folded, live);
    assert_eq!(log.reads() - reads, 3);
}

#[tokio::test]
async fn changes_a_state_that_somebody_still_looks_at_without_touching_it() {
    let (_log, handler) = opened().await;
    let before = handler.state::<Mailbox>(&stream()).await.unwrap();
    let copy = Mailbox::clone(&before);
    ask(&handler, 1, &accept(1)).await.unwrap();
    assert_eq!(*before, copy);
    assert_ne!(*handler.state::<Mailbox>(&stream()).await.unwrap(), copy);
}

#[tokio::test]
async fn closed_payloads_are_erased_with_the_append() {
    let (log, handler) = opened().await;
    ask(&handler, 1, &accept(1)).await.unwrap();
    ask(&handler, 2, &accept(2)).await.unwrap();
    ask(&handler, 3, &MailboxCommand::Wipe { at: NOON })
        .await
        .unwrap();
    let ids = [1, 2].map(|number| MessageId::new([number; 16]).into());
    assert_eq!(log.erased(), ids);
}

#[tokio::test]
async fn commands_on_one_stream_queue_instead_of_conflicting() {
    let (log, handler) = opened().await;
    let attempts = log.attempts().len();
    let tasks: Vec<_> = (1..=16)
        .map(|number| {
            let handler = handler.clone();
            tokio::spawn(async move { ask(&handler, number, &accept(number)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(log.attempts().len() - attempts, 16);
}

#[tokio::test]
async fn a_cancelled_command_leaves_nothing_doubtful_behind() {
    let (log, handler) = opened().await;
    let first = accept(1);
    let cancelled = ask(&handler, 1, &first);
    // The append has begun, and its answer will never be seen.
    tokio::select! {
        biased;
        _ = cancelled => panic!("the append takes longer than one turn"),
        () = std::future::ready(()) => {}
    }
    ask(&handler, 2, &accept(2)).await.unwrap();
    let live = handler.state::<Mailbox>(&stream()).await.unwrap();
    assert_eq!(live, server(&log).state(&stream()).await.unwrap());
}
