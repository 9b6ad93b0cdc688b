//! Given, when, then.

use super::{Client, ClientCommand, ClientError, ClientEvent, PushDeathReason, PushState};
use crate::aggregate::testing::{Given, given};
use crate::ids::PushTargetId;
use crate::keys::{ClientId, MessagingKey};
use crate::limits::{MESSAGING_KEYS_MAX, PUSH_CODE_ATTEMPTS_MAX, PUSH_CODE_TTL};
use crate::push::{PushRegistration, PushTarget, VerificationCode};
use crate::sealed::Sealed;
use crate::time::Timestamp;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);
const OTHER_KEY: MessagingKey = MessagingKey::from_stored([3; 32]);
const TARGET: PushTargetId = PushTargetId::new([4; 16]);
const OTHER_TARGET: PushTargetId = PushTargetId::new([5; 16]);
const NOON: Timestamp = Timestamp::from_millis(1_000_000);

const fn code(byte: u8) -> VerificationCode {
    VerificationCode::new([byte; 16])
}

fn registration() -> PushRegistration {
    let mut p256dh = [0; 65];
    p256dh[0] = 4;
    let endpoint = "https://push.example/device".to_owned();
    PushRegistration {
        target: PushTarget::web_push(endpoint, p256dh, [0; 16]).unwrap(),
        code: code(7),
    }
}

fn register(messaging_key: MessagingKey) -> ClientCommand {
    ClientCommand::Register {
        client: ALICE,
        messaging_key,
        at: NOON,
    }
}

fn set_target(id: PushTargetId) -> ClientCommand {
    ClientCommand::SetPushTarget {
        id,
        registration: registration(),
        at: NOON,
    }
}

const fn verify(byte: u8, at: Timestamp) -> ClientCommand {
    ClientCommand::VerifyPushTarget {
        code: code(byte),
        at,
    }
}

const fn rotate(messaging_key: MessagingKey) -> ClientCommand {
    ClientCommand::RotateMessagingKey {
        messaging_key,
        at: NOON,
    }
}

const fn wake(id: PushTargetId, through: u64) -> ClientCommand {
    ClientCommand::RecordWake {
        id,
        through,
        at: NOON,
    }
}

fn registered() -> Given<Client> {
    given::<Client>([]).after(&register(KEY))
}

fn pending() -> Given<Client> {
    registered().after(&set_target(TARGET))
}

fn active() -> Given<Client> {
    pending().after(&verify(7, NOON))
}

fn retired() -> Given<Client> {
    active().after(&ClientCommand::Retire { at: NOON })
}

#[test]
fn registers_a_new_client() {
    given::<Client>([])
        .when(&register(KEY))
        .then([ClientEvent::ClientRegistered {
            client: ALICE,
            messaging_key: KEY,
            at: NOON,
        }]);
}

#[test]
fn registering_again_with_the_same_key_changes_nothing() {
    registered().when(&register(KEY)).then_nothing();
}

#[test]
fn refuses_to_register_again_with_another_key() {
    registered()
        .when(&register(OTHER_KEY))
        .then_refused(&ClientError::AlreadyRegistered);
}

#[test]
fn refuses_one_key_for_both_uses() {
    let identity_key = MessagingKey::from_stored([1; 32]);
    given::<Client>([])
        .when(&register(identity_key))
        .then_refused(&ClientError::KeysEqual);
    registered()
        .when(&rotate(identity_key))
        .then_refused(&ClientError::KeysEqual);
}

#[test]
fn rotates_the_messaging_key_and_remembers_the_former_one() {
    registered()
        .when(&rotate(OTHER_KEY))
        .then([ClientEvent::MessagingKeyRotated {
            from: KEY,
            to: OTHER_KEY,
            at: NOON,
        }]);
    let rotated = registered().after(&rotate(OTHER_KEY));
    let keys: Vec<_> = rotated.state().messaging_keys().collect();
    assert_eq!(keys, [OTHER_KEY, KEY]);
}

#[test]
fn rotating_back_makes_the_former_key_the_present_one() {
    let back = registered().after(&rotate(OTHER_KEY)).after(&rotate(KEY));
    let keys: Vec<_> = back.state().messaging_keys().collect();
    assert_eq!(keys, [KEY, OTHER_KEY]);
}

#[test]
fn refuses_one_messaging_key_too_many_and_still_rotates_back() {
    let nth = |number: usize| {
        let mut bytes = [0xaa; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        MessagingKey::from_stored(bytes)
    };
    let full = || {
        (1..MESSAGING_KEYS_MAX).fold(registered(), |client, number| {
            client.after(&rotate(nth(number)))
        })
    };
    let keys = full().state().messaging_keys().count();
    assert_eq!(keys, MESSAGING_KEYS_MAX);
    full()
        .when(&rotate(nth(MESSAGING_KEYS_MAX)))
        .then_refused(&ClientError::TooManyMessagingKeys);
    full()
        .when(&rotate(KEY))
        .then([ClientEvent::MessagingKeyRotated {
            from: nth(MESSAGING_KEYS_MAX - 1),
            to: KEY,
            at: NOON,
        }]);
}

#[test]
fn rotating_to_the_same_key_changes_nothing() {
    registered().when(&rotate(KEY)).then_nothing();
}

#[test]
fn everything_but_registration_needs_a_registered_client() {
    let at = NOON;
    for command in [
        rotate(OTHER_KEY),
        set_target(TARGET),
        verify(7, NOON),
        ClientCommand::RemovePushTarget { at },
        ClientCommand::Retire { at },
    ] {
        given::<Client>([])
            .when(&command)
            .then_refused(&ClientError::NotRegistered);
    }
}

#[test]
fn setting_a_push_target_keeps_the_digest_of_the_code_and_its_end() {
    registered()
        .when(&set_target(TARGET))
        .then([ClientEvent::PushTargetSet {
            id: TARGET,
            registration: Sealed::Present(registration()),
            code_digest: code(7).digest(),
            code_expires_at: NOON.plus(PUSH_CODE_TTL),
            at: NOON,
        }])
        .closing([]);
}

#[test]
fn replacing_a_push_target_closes_the_payload_of_the_old_one() {
    active()
        .when(&set_target(OTHER_TARGET))
        .then([ClientEvent::PushTargetSet {
            id: OTHER_TARGET,
            registration: Sealed::Present(registration()),
            code_digest: code(7).digest(),
            code_expires_at: NOON.plus(PUSH_CODE_TTL),
            at: NOON,
        }])
        .closing([TARGET.into()]);
}

#[test]
fn a_push_target_whose_code_came_back_is_used() {
    pending()
        .when(&verify(7, NOON))
        .then([ClientEvent::PushTargetVerified {
            id: TARGET,
            at: NOON,
        }]);
    assert_eq!(
        active().state().push(),
        Some(PushState::Active {
            id: TARGET,
            set_at: NOON
        })
    );
}

#[test]
fn counts_a_wrong_code() {
    pending()
        .when(&verify(8, NOON))
        .then([ClientEvent::PushCodeRefused {
            id: TARGET,
            at: NOON,
        }]);
}

#[test]
fn refuses_even_the_right_code_after_too_many_wrong_ones() {
    let mut history = pending();
    for _ in 0..PUSH_CODE_ATTEMPTS_MAX {
        history = history.after(&verify(8, NOON));
    }
    history
        .when(&verify(7, NOON))
        .then_refused(&ClientError::PushCodeSpent);
}

#[test]
fn the_last_attempt_may_still_be_right() {
    let mut history = pending();
    for _ in 1..PUSH_CODE_ATTEMPTS_MAX {
        history = history.after(&verify(8, NOON));
    }
    history
        .when(&verify(7, NOON))
        .then([ClientEvent::PushTargetVerified {
            id: TARGET,
            at: NOON,
        }]);
}

#[test]
fn a_code_is_good_until_its_time_has_run_out() {
    let end = NOON.plus(PUSH_CODE_TTL);
    let last_moment = Timestamp::from_millis(end.as_millis() - 1);
    pending()
        .when(&verify(7, last_moment))
        .then([ClientEvent::PushTargetVerified {
            id: TARGET,
            at: last_moment,
        }]);
    pending()
        .when(&verify(7, end))
        .then_refused(&ClientError::PushCodeSpent);
}

#[test]
fn refuses_a_code_when_none_is_awaited() {
    registered()
        .when(&verify(7, NOON))
        .then_refused(&ClientError::NoPushTargetPending);
    active()
        .when(&verify(7, NOON))
        .then_refused(&ClientError::NoPushTargetPending);
}

#[test]
fn removing_the_push_target_closes_its_payload() {
    let remove = ClientCommand::RemovePushTarget { at: NOON };
    active()
        .when(&remove)
        .then([ClientEvent::PushTargetRemoved {
            id: TARGET,
            at: NOON,
        }])
        .closing([TARGET.into()]);
    registered().when(&remove).then_nothing();
}

#[test]
fn a_dead_push_target_is_forgotten_with_its_payload() {
    let reason = PushDeathReason::Gone;
    active()
        .when(&ClientCommand::MarkPushTargetDead {
            id: TARGET,
            reason,
            since: None,
            at: NOON,
        })
        .then([ClientEvent::PushTargetDead {
            id: TARGET,
            reason,
            at: NOON,
        }])
        .closing([TARGET.into()]);
}

#[test]
fn news_that_is_older_than_the_registration_changes_nothing() {
    let reason = PushDeathReason::Gone;
    let later = Timestamp::from_millis(NOON.as_millis() + 1);
    let dead = |since| ClientCommand::MarkPushTargetDead {
        id: TARGET,
        reason,
        since: Some(since),
        at: later,
    };
    for history in [pending, active] {
        history().when(&dead(NOON)).then_nothing();
        history()
            .when(&dead(later))
            .then([ClientEvent::PushTargetDead {
                id: TARGET,
                reason,
                at: later,
            }])
            .closing([TARGET.into()]);
    }
}

#[test]
fn news_of_another_registration_changes_nothing() {
    active()
        .when(&ClientCommand::MarkPushTargetDead {
            id: OTHER_TARGET,
            reason: PushDeathReason::Gone,
            since: None,
            at: NOON,
        })
        .then_nothing();
    active().when(&wake(OTHER_TARGET, 9)).then_nothing();
}

#[test]
fn wake_ups_only_count_upwards() {
    active()
        .when(&wake(TARGET, 3))
        .then([ClientEvent::PushWoken {
            id: TARGET,
            through: 3,
            at: NOON,
        }]);
    for through in [2, 3] {
        active()
            .after(&wake(TARGET, 3))
            .when(&wake(TARGET, through))
            .then_nothing();
    }
}

#[test]
fn a_target_that_waits_for_its_code_is_not_woken() {
    pending().when(&wake(TARGET, 1)).then_nothing();
}

#[test]
fn retiring_closes_the_push_payload() {
    active()
        .when(&ClientCommand::Retire { at: NOON })
        .then([ClientEvent::ClientRetired { at: NOON }])
        .closing([TARGET.into()]);
}

#[test]
fn retirement_is_final() {
    for command in [
        register(KEY),
        register(OTHER_KEY),
        rotate(OTHER_KEY),
        set_target(TARGET),
        verify(7, NOON),
        ClientCommand::RemovePushTarget { at: NOON },
    ] {
        retired().when(&command).then_refused(&ClientError::Retired);
    }
    retired()
        .when(&ClientCommand::Retire { at: NOON })
        .then_nothing();
    retired().when(&wake(TARGET, 9)).then_nothing();
}

#[test]
fn a_retired_client_is_known_by_all_its_keys() {
    let keys: Vec<_> = retired().state().messaging_keys().collect();
    assert_eq!(keys, [KEY]);
}
