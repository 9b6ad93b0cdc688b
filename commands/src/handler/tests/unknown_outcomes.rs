//! The log does not say whether an append happened.

use satpost_domain::limits::UNKNOWN_RETRIES_MAX;

use super::*;

const UNKNOWN_FOR_GOOD: [Option<Fault>; UNKNOWN_RETRIES_MAX as usize + 1] =
    [Some(Fault::LostUnknown); UNKNOWN_RETRIES_MAX as usize + 1];

#[tokio::test(start_paused = true)]
async fn repeats_the_very_same_append_until_its_outcome_is_known() {
    for fault in [
        Fault::LostUnknown,
        Fault::StoredUnknown,
        Fault::LateUnknown(1),
        Fault::LateUnknown(2),
    ] {
        let (log, handler) = opened().await;
        log.fail_next([Some(fault), Some(Fault::Unavailable), Some(fault)]);
        let outcome = ask(&handler, 1, &accept(1)).await.unwrap();
        let attempts = log.attempts().split_off(1);
        assert_eq!(attempts.len(), 4, "{fault:?}");
        assert!(attempts.iter().all(|ids| *ids == attempts[0]), "{fault:?}");
        assert_eq!(log.history(&stream()).len(), 2, "{fault:?}");
        assert_eq!(outcome.position, Position::new(2, 0), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn says_so_when_the_outcome_stays_unknown() {
    let (log, handler) = opened().await;
    let mut faults = UNKNOWN_FOR_GOOD;
    // The last answer, that nothing was appended now, does not speak for the first attempt.
    faults[faults.len() - 1] = Some(Fault::Unavailable);
    log.fail_next(faults);
    let failed = ask(&handler, 1, &accept(1)).await;
    assert!(matches!(
        failed,
        Err(CommandError::Log(LogError::Unknown { .. }))
    ));
    let again = ask(&handler, 1, &accept(1)).await.unwrap();
    assert!(!again.repeated);
    assert_eq!(log.history(&stream()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn finds_an_append_that_had_happened_when_the_caller_asks_again() {
    let (log, handler) = opened().await;
    let mut faults = UNKNOWN_FOR_GOOD;
    faults[2] = Some(Fault::StoredUnknown);
    log.fail_next(faults);
    assert!(ask(&handler, 1, &accept(1)).await.is_err());
    let again = ask(&handler, 1, &accept(2)).await.unwrap();
    assert!(again.repeated);
    let MailboxEvent::MessageAccepted { id, .. } = again.events[0] else {
        panic!("a message is accepted");
    };
    assert_eq!(id, MessageId::new([1; 16]));
}

#[tokio::test(start_paused = true)]
async fn an_append_that_lands_late_is_not_taken_for_the_later_decision() {
    let (log, handler) = opened().await;
    let mut faults = UNKNOWN_FOR_GOOD;
    // It lands after the caller's second command was decided and before that one is appended.
    faults[0] = Some(Fault::LateUnknown(faults.len()));
    log.fail_next(faults);
    assert!(ask(&handler, 1, &accept(1)).await.is_err());
    let again = ask(&handler, 1, &accept(2)).await.unwrap();
    let stored = log.history(&stream()).pop().unwrap();
    assert_eq!(stored.event, Event::Mailbox(again.events[0].clone()));
    assert_eq!(log.history(&stream()).len(), 2);
    assert!(again.repeated);
}

#[tokio::test]
async fn other_failures_are_answered_at_once_and_leave_the_state_to_the_log() {
    let (log, handler) = opened().await;
    log.fail_next([Some(Fault::Unavailable)]);
    let failed = ask(&handler, 1, &accept(1)).await;
    assert!(matches!(
        failed,
        Err(CommandError::Log(LogError::Unavailable { .. }))
    ));
    let state = handler.state::<Mailbox>(&stream()).await.unwrap();
    assert_eq!(state, server(&log).state(&stream()).await.unwrap());
}
