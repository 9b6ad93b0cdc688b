//! Other servers write to the same streams.

use satpost_domain::mailbox::{GoneReason, ParkReason, SizeBucket, chain_start, extend_chain};

use super::*;

/// The first message of the mailbox, as another server took it.
fn rival_message() -> Event {
    let id = MessageId::new([7; 16]);
    let digest = sha256(b"rival");
    Event::Mailbox(MailboxEvent::MessageAccepted {
        seq: 1,
        id,
        size: SizeBucket::of(512).unwrap(),
        digest,
        chain: extend_chain(chain_start(&KEY), 1, id, digest),
        knock: true,
        at: NOON,
        expires_at: Timestamp::from_millis(u64::MAX),
    })
}

#[tokio::test]
async fn decides_again_when_another_server_was_faster() {
    let (log, handler) = opened().await;
    log.append_as_rival(&stream(), rival_message());
    let outcome = ask(&handler, 1, &accept(1)).await.unwrap();
    let MailboxEvent::MessageAccepted { seq, .. } = outcome.events[0] else {
        panic!("a message is accepted");
    };
    assert_eq!(seq, 2);
    assert_eq!(log.history(&stream()).len(), 3);
}

#[tokio::test]
async fn gives_up_after_a_bounded_number_of_conflicts() {
    let (log, handler) = opened().await;
    let attempts = log.attempts().len();
    log.fail_next(std::iter::repeat_n(Some(Fault::Conflict), 100));
    let refused = ask(&handler, 1, &accept(1)).await;
    assert!(matches!(
        refused,
        Err(CommandError::Conflict {
            retries: CONFLICT_RETRIES_MAX
        })
    ));
    assert_eq!(log.attempts().len() - attempts, CONFLICT_RETRIES_MAX + 1);
    log.work_again();
    ask(&handler, 1, &accept(1)).await.unwrap();
}

#[tokio::test]
async fn survives_as_many_conflicts_as_are_allowed() {
    let (log, handler) = opened().await;
    let conflicts = std::iter::repeat_n(Some(Fault::Conflict), CONFLICT_RETRIES_MAX);
    log.fail_next(conflicts);
    ask(&handler, 1, &accept(1)).await.unwrap();
}

#[tokio::test]
async fn refuses_only_after_a_look_at_what_other_servers_did() {
    let (log, handler) = opened().await;
    let park = MailboxCommand::Park {
        messages: vec![(MessageId::new([7; 16]), ParkReason::Other)],
        at: NOON,
    };
    let refused = ask(&handler, 1, &park).await;
    assert!(matches!(
        refused,
        Err(CommandError::Rejected(MailboxError::UnknownMessage))
    ));
    log.append_as_rival(&stream(), rival_message());
    assert_eq!(ask(&handler, 1, &park).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn finds_nothing_to_do_only_after_a_look_at_what_other_servers_did() {
    let (log, handler) = opened().await;
    log.append_as_rival(&stream(), rival_message());
    let wiped = ask(&handler, 1, &MailboxCommand::Wipe { at: NOON }).await;
    assert_eq!(
        wiped.unwrap().events,
        [MailboxEvent::MessageGone {
            seq: 1,
            reason: GoneReason::Wiped,
            at: NOON
        }]
    );
}

#[tokio::test]
async fn recognises_a_command_that_another_server_carried_out() {
    let (log, handler) = opened().await;
    let first = ask(&server(&log), 1, &accept(1)).await.unwrap();
    let again = ask(&handler, 1, &accept(2)).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.events, first.events);
}

#[tokio::test]
async fn shows_other_servers_events_to_one_who_looks() {
    let (log, handler) = opened().await;
    log.append_as_rival(&stream(), rival_message());
    let state = handler.state::<Mailbox>(&stream()).await.unwrap();
    assert_eq!(state, server(&log).state(&stream()).await.unwrap());
}

#[tokio::test]
async fn a_rehearsal_answers_like_the_command_and_appends_nothing() {
    let (log, handler) = opened().await;
    let attempts = log.attempts().len();
    let stream = stream();
    let rehearse = async |context, command| {
        let rehearsal = handler.rehearse::<Mailbox>(&stream, context, &command);
        rehearsal.await
    };
    assert!(rehearse(context(1), accept(1)).await.is_ok());
    assert!(rehearse(context(0), OPEN).await.is_ok());
    let other_request = CommandContext {
        request_digest: RequestDigest::new([9; 16]),
        ..context(0)
    };
    assert!(matches!(
        rehearse(other_request, OPEN).await,
        Err(CommandError::IdempotencyMismatch)
    ));
    let acknowledge = MailboxCommand::Acknowledge {
        through: 1,
        chain: chain_start(&KEY),
        at: NOON,
    };
    assert!(matches!(
        rehearse(context(2), acknowledge).await,
        Err(CommandError::Rejected(
            MailboxError::AckAheadOfDelivery { .. }
        ))
    ));
    assert_eq!(log.attempts().len(), attempts);
}
