//! Who is registered, by the events that say so.

use satpost_domain::client::PushDeathReason;

use super::*;
use crate::test_log::{TestLog, client, key, project, registration, target};

fn rotate(log: &mut TestLog, who: ClientId, from: u8, to: u8) {
    let at = log.at();
    log.client(
        who,
        ClientEvent::MessagingKeyRotated {
            from: key(from),
            to: key(to),
            at,
        },
    );
}

#[test]
fn knows_a_registered_client_and_the_owner_of_its_key() {
    let mut log = TestLog::default();
    log.register(client(1), key(11));
    let directory: ClientDirectory = project(&log);
    assert_eq!(directory.client(&client(1)).unwrap().messaging_key, key(11));
    assert_eq!(directory.owner(&key(11)), Some(client(1)));
    assert_eq!(directory.owner(&key(12)), None);
    assert_eq!(directory.client(&client(2)), None);
}

#[test]
fn keeps_former_keys_until_the_client_is_retired() {
    let mut log = TestLog::default();
    log.register(client(1), key(11));
    rotate(&mut log, client(1), 11, 12);
    rotate(&mut log, client(1), 12, 11);
    rotate(&mut log, client(1), 11, 13);
    let directory: ClientDirectory = project(&log);
    assert_eq!(directory.client(&client(1)).unwrap().messaging_key, key(13));
    for byte in [11, 12, 13] {
        assert_eq!(directory.owner(&key(byte)), Some(client(1)));
    }

    let at = log.at();
    log.client(client(1), ClientEvent::ClientRetired { at });
    let directory: ClientDirectory = project(&log);
    assert!(directory.is_empty());
    for byte in [11, 12, 13] {
        assert_eq!(directory.owner(&key(byte)), None);
    }
}

#[test]
fn a_push_target_is_pending_until_verified() {
    let mut log = TestLog::default();
    log.register(client(1), key(11));
    log.set_push(client(1), 7, 1_000);
    let pending: ClientDirectory = project(&log);
    let push = pending.client(&client(1)).unwrap().push.clone().unwrap();
    assert_eq!(push.status, PushStatus::Pending);
    assert_eq!(push.registration, Some(registration(7)));

    log.verify(client(1), 7);
    let active: ClientDirectory = project(&log);
    let push = active.client(&client(1)).unwrap().push.clone().unwrap();
    assert_eq!(push.status, PushStatus::Active);
}

#[test]
fn what_happens_to_a_replaced_target_does_not_touch_its_successor() {
    let mut log = TestLog::default();
    log.register(client(1), key(11));
    log.set_push(client(1), 7, 1_000);
    log.set_push(client(1), 8, 1_000);
    log.verify(client(1), 7);
    let at = log.at();
    log.client(
        client(1),
        ClientEvent::PushTargetDead {
            id: target(7),
            reason: PushDeathReason::Gone,
            at,
        },
    );
    let directory: ClientDirectory = project(&log);
    let push = directory.client(&client(1)).unwrap().push.clone().unwrap();
    assert_eq!((push.id, push.status), (target(8), PushStatus::Pending));

    log.client(
        client(1),
        ClientEvent::PushTargetRemoved { id: target(8), at },
    );
    let directory: ClientDirectory = project(&log);
    assert_eq!(directory.client(&client(1)).unwrap().push, None);
}

#[test]
fn tolerates_an_erased_registration() {
    let mut log = TestLog::default();
    log.register(client(1), key(11));
    let at = log.at();
    log.client(
        client(1),
        ClientEvent::PushTargetSet {
            id: target(7),
            registration: satpost_domain::Sealed::Erased,
            code_digest: registration(7).code.digest(),
            code_expires_at: at,
            at,
        },
    );
    let directory: ClientDirectory = project(&log);
    let push = directory.client(&client(1)).unwrap().push.clone().unwrap();
    assert_eq!(push.registration, None);
}

#[test]
fn refuses_a_snapshot_with_bytes_left_over() {
    let mut bytes = ClientDirectory::default().snapshot();
    bytes.push(0);
    assert!(ClientDirectory::restore(&bytes).is_err());
}
