//! The client: whatever is asked of it, its history obeys a few sentences.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use satpost_domain::client::{Client, ClientCommand, ClientError, ClientEvent, PushDeathReason};
use satpost_domain::limits::{PUSH_CODE_ATTEMPTS_MAX, PUSH_CODE_TTL};
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::{ClientId, MessagingKey, PayloadId, PushTargetId, Sealed, Timestamp};

use crate::support::{Life, config};

const IDENTITY: ClientId = ClientId::from_stored([1; 32]);

/// A command in small numbers, and how many minutes after the last one it comes.
#[derive(Debug, Clone)]
enum Happening {
    Register {
        key: u8,
    },
    Rotate {
        key: u8,
    },
    SetPushTarget {
        code: u8,
    },
    Verify {
        code: u8,
    },
    Remove,
    /// News of one of the last registrations.
    Dead {
        back: u128,
    },
    Woken {
        back: u128,
        through: u64,
    },
    Retire,
    Repeat,
    Reload,
}

fn happening() -> impl Strategy<Value = (Happening, u64)> {
    // The key 1 is the identity key.
    let key = || 1..5_u8;
    let happening = prop_oneof![
        4 => key().prop_map(|key| Happening::Register { key }),
        3 => key().prop_map(|key| Happening::Rotate { key }),
        5 => (0..3_u8).prop_map(|code| Happening::SetPushTarget { code }),
        8 => (0..3_u8).prop_map(|code| Happening::Verify { code }),
        1 => Just(Happening::Remove),
        1 => (0..3_u128).prop_map(|back| Happening::Dead { back }),
        3 => (0..3_u128, 0..20_u64).prop_map(|(back, through)| Happening::Woken { back, through }),
        1 => prop::bool::weighted(0.2).prop_map(|retire| match retire {
            true => Happening::Retire,
            false => Happening::Reload,
        }),
        2 => Just(Happening::Repeat),
        1 => Just(Happening::Reload),
    ];
    (happening, 0..4_u64)
}

struct World {
    client: Life<Client>,
    registrations: u128,
    now: Timestamp,
    last_command: Option<ClientCommand>,
}

impl World {
    fn new() -> Self {
        Self {
            client: Life::new(),
            registrations: 0,
            now: Timestamp::from_millis(1_000_000),
            last_command: None,
        }
    }

    fn happen(&mut self, happening: &Happening, minutes: u64) {
        self.now = self.now.plus(std::time::Duration::from_secs(60 * minutes));
        let at = self.now;
        let id = |back: u128| registration_id(self.registrations.saturating_sub(back));
        let command = match happening {
            Happening::Register { key } => ClientCommand::Register {
                client: IDENTITY,
                messaging_key: MessagingKey::from_stored([*key; 32]),
                at,
            },
            Happening::Rotate { key } => ClientCommand::RotateMessagingKey {
                messaging_key: MessagingKey::from_stored([*key; 32]),
                at,
            },
            Happening::SetPushTarget { code } => {
                self.registrations += 1;
                ClientCommand::SetPushTarget {
                    id: registration_id(self.registrations),
                    registration: registration(*code),
                    at,
                }
            }
            Happening::Verify { code } => ClientCommand::VerifyPushTarget {
                code: VerificationCode::new([*code; 16]),
                at,
            },
            Happening::Remove => ClientCommand::RemovePushTarget { at },
            Happening::Dead { back } => {
                let reason = PushDeathReason::Gone;
                ClientCommand::MarkPushTargetDead {
                    id: id(*back),
                    reason,
                    since: None,
                    at,
                }
            }
            Happening::Woken { back, through } => ClientCommand::RecordWake {
                id: id(*back),
                through: *through,
                at,
            },
            Happening::Retire => ClientCommand::Retire { at },
            Happening::Repeat => return self.repeat(),
            Happening::Reload => return self.client.reload(as_read),
        };
        self.ask(command);
    }

    fn ask(&mut self, command: ClientCommand) {
        let retired = self.client.state.is_retired();
        let registered = self.client.state.registered_at().is_some();
        let before = self.client.history.len();
        match self.client.ask(&command) {
            Ok(_) | Err(ClientError::NotRegistered) => {}
            Err(ClientError::Retired) => assert!(retired),
            Err(_) => assert!(!retired, "whatever is wrong, the retirement comes first"),
        }
        if retired || !registered && !matches!(command, ClientCommand::Register { .. }) {
            assert_eq!(
                self.client.history.len(),
                before,
                "{command:?} needs a living client"
            );
        }
        self.last_command = Some(command);
    }

    /// Setting a target sets it again, and a wrong code is counted again; that these are told from
    /// their repeats by the command id is the handler's business. All else is done once.
    fn repeat(&mut self) {
        let Some(command) = self.last_command.take() else {
            return;
        };
        let counted = matches!(
            command,
            ClientCommand::SetPushTarget { .. } | ClientCommand::VerifyPushTarget { .. }
        );
        if !counted {
            let again = self.client.ask(&command).unwrap_or_default();
            assert!(
                again.is_empty(),
                "{command:?} did something again: {again:?}"
            );
        }
    }
}

fn registration_id(number: u128) -> PushTargetId {
    PushTargetId::new(number.to_be_bytes())
}

fn registration(code: u8) -> PushRegistration {
    let mut p256dh = [0; 65];
    p256dh[0] = 4;
    let endpoint = "https://push.example/device".to_owned();
    PushRegistration {
        target: PushTarget::web_push(endpoint, p256dh, [0; 16]).unwrap(),
        code: VerificationCode::new([code; 16]),
    }
}

/// The registration is erased when its target is replaced, removed, dead or retired.
fn as_read(event: &ClientEvent, closed: &BTreeSet<PayloadId>) -> ClientEvent {
    let mut event = event.clone();
    if let ClientEvent::PushTargetSet {
        id, registration, ..
    } = &mut event
        && closed.contains(&(*id).into())
    {
        *registration = Sealed::Erased;
    }
    event
}

/// What a reader of the history knows.
#[derive(Default)]
struct Reader {
    keys: Vec<MessagingKey>,
    retired: bool,
    /// The registration in use or awaiting its code, with the end of the code and the wrong ones.
    open: Option<(PushTargetId, Timestamp, u8)>,
    active: bool,
    woken_through: u64,
    all: BTreeMap<PushTargetId, u32>,
}

impl Reader {
    fn read(&mut self, event: &ClientEvent) {
        assert!(
            !self.retired,
            "nothing follows a retirement, but {event:?} did"
        );
        match event {
            ClientEvent::ClientRegistered { messaging_key, .. } => {
                assert!(self.keys.is_empty(), "a client registers once");
                self.use_key(*messaging_key);
            }
            ClientEvent::MessagingKeyRotated { from, to, .. } => {
                assert_eq!(self.keys.last(), Some(from));
                assert_ne!(from, to);
                self.use_key(*to);
            }
            ClientEvent::PushTargetSet {
                id,
                code_expires_at,
                at,
                ..
            } => {
                assert_eq!(*code_expires_at, at.plus(PUSH_CODE_TTL));
                self.open = Some((*id, *code_expires_at, 0));
                self.active = false;
                *self.all.entry(*id).or_default() += 1;
            }
            ClientEvent::PushTargetVerified { id, at } => {
                self.expect_pending(*id, *at);
                self.active = true;
            }
            ClientEvent::PushCodeRefused { id, at } => {
                self.expect_pending(*id, *at);
                self.open.as_mut().unwrap().2 += 1;
            }
            ClientEvent::PushTargetRemoved { id, .. } | ClientEvent::PushTargetDead { id, .. } => {
                assert_eq!(self.open.take().map(|open| open.0), Some(*id));
                self.active = false;
            }
            ClientEvent::PushWoken { id, through, .. } => {
                assert!(self.active && self.open.map(|open| open.0) == Some(*id));
                assert!(*through > self.woken_through, "wake-ups count upwards");
                self.woken_through = *through;
            }
            ClientEvent::ClientRetired { .. } => {
                self.retired = true;
                self.open = None;
            }
        }
    }

    fn use_key(&mut self, key: MessagingKey) {
        assert_ne!(key.as_bytes(), IDENTITY.as_bytes(), "the two keys differ");
        self.keys.push(key);
    }

    fn expect_pending(&self, id: PushTargetId, at: Timestamp) {
        let (open, code_expires_at, wrong) = self.open.expect("a target waits for its code");
        assert!(!self.active && open == id);
        assert!(at < code_expires_at, "the code is good");
        assert!(
            wrong < PUSH_CODE_ATTEMPTS_MAX,
            "wrong codes are borne {wrong} times"
        );
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn has_a_history_that_makes_sense(
        happenings in proptest::collection::vec(happening(), 1..80),
    ) {
        let mut world = World::new();
        let mut reader = Reader::default();
        for (happening, minutes) in &happenings {
            let seen = world.client.history.len();
            world.happen(happening, *minutes);
            for event in &world.client.history[seen..] {
                reader.read(event);
            }
            let open: BTreeSet<PayloadId> = reader.open.iter().map(|open| open.0.into()).collect();
            let ever: BTreeSet<PayloadId> = reader.all.keys().copied().map(Into::into).collect();
            let expected: BTreeSet<_> = ever.difference(&open).copied().collect();
            prop_assert_eq!(world.client.closed(), &expected, "one registration at most is open");
            let keys: BTreeSet<_> = world.client.state.messaging_keys().collect();
            prop_assert_eq!(keys, reader.keys.iter().copied().collect(), "no key is forgotten");
            prop_assert_eq!(
                world.client.state.messaging_keys().next(), reader.keys.last().copied()
            );
        }
        world.happen(&Happening::Reload, 0);
    }

    #[test]
    fn a_code_is_right_or_wrong(right in 0..3_u8, given in 0..3_u8) {
        let mut world = World::new();
        world.happen(&Happening::Register { key: 2 }, 0);
        world.happen(&Happening::SetPushTarget { code: right }, 0);
        world.happen(&Happening::Verify { code: given }, 0);
        let verified = matches!(
            world.client.history.last(), Some(ClientEvent::PushTargetVerified { .. })
        );
        prop_assert_eq!(verified, right == given);
    }
}
