//! What a wake-up says: the same, whatever the cause and whoever carries it.

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::Notifier;
use satpost_domain::Timestamp;
use satpost_domain::chain::{BlockRef, ChainEvent, ReplacedIn, ReplacedVia, Touch};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::PUSH_FETCH_GRACE;
use satpost_domain::push::{ApnsEnvironment, PushTarget};
use satpost_domain::script::Script;
use satpost_event_store::memory::MemoryEventStore;
use satpost_infra::outbox::OutboxSettings;
use satpost_infra::push::http::base_url;
use satpost_infra::push::{
    Apns, ApnsKey, Fcm, Guard, PushServices, ServiceAccount, Vapid, WebPush,
};
use satpost_infra::system::SystemIds;
use satpost_tests::apns_service::{self, ApnsService, KEY_ID, TEAM_ID, TOPIC};
use satpost_tests::fcm_service::FcmService;
use satpost_tests::http_server::SettableClock;
use satpost_tests::outbox_stage::OutboxStage;
use satpost_tests::push_receiver::PushReceiver;
use satpost_tests::push_service::PushService;

use super::push_outbox::{HOUR, QUIET, Setup, settings, target};

fn script() -> Script {
    Script::new(b"watched").unwrap()
}

fn touch() -> Touch {
    Touch {
        script_hash: script().hash(),
        received_sat: 5_000,
        spent_sat: 0,
        outputs: vec![(0, 5_000)],
    }
}

const fn block(height: u32) -> BlockRef {
    BlockRef {
        height,
        hash: BlockHash::new([7; 32]),
    }
}

fn confirmed(height: u32) -> ChainEvent {
    ChainEvent::TransactionConfirmed {
        txid: Txid::new([1; 32]),
        touch: touch(),
        inputs: Vec::new(),
        block: block(height),
        index: 1,
        backfilled: false,
    }
}

fn unconfirmed(height: u32) -> ChainEvent {
    ChainEvent::TransactionUnconfirmed {
        txid: Txid::new([1; 32]),
        script_hash: script().hash(),
        block: block(height),
        was_final: false,
    }
}

/// Every way in which the chain gives a reason to wake.
fn causes() -> Vec<Vec<ChainEvent>> {
    let (txid, script_hash) = (Txid::new([1; 32]), script().hash());
    vec![
        vec![ChainEvent::TransactionSeen {
            txid,
            touch: touch(),
            inputs: Vec::new(),
            incarnation: 1,
            at: Timestamp::from_millis(1),
        }],
        vec![confirmed(7)],
        vec![unconfirmed(7), confirmed(8)],
        vec![unconfirmed(8)],
        vec![ChainEvent::TransactionReplaced {
            txid,
            script_hash,
            incarnation: 1,
            by: Txid::new([2; 32]),
            replaced_in: ReplacedIn::Mempool,
            via: ReplacedVia::Direct,
        }],
        vec![ChainEvent::TransactionEvicted {
            txid,
            script_hash,
            incarnation: 2,
        }],
    ]
}

#[tokio::test]
async fn a_reorganisation_is_one_wake_up() {
    let setup = Setup::new().await;
    let client = setup.stage.client(1, target(1)).await;
    setup.stage.watch(&[client], &script()).await;
    setup.stage.chain(vec![unconfirmed(7), confirmed(8)]).await;
    setup.until_woken(1).await;
    setup.stays_woken(1).await;
}

/// Three phones with three providers, all of which keep what they are sent.
struct Providers {
    web_push: PushService,
    phone: PushReceiver,
    apple: ApnsService,
    google: FcmService,
}

impl Providers {
    async fn start() -> (Self, Arc<dyn Notifier>) {
        let vapid = p256::SecretKey::from_slice(&[7; 32]).unwrap();
        let vapid = Vapid::new(&vapid, "mailto:operator@wallet.example").unwrap();
        let web_push = PushService::start();
        let phone = PushReceiver::subscribe(&web_push.url(), vapid.public_key(), 1).await;
        let (apple, google) = (ApnsService::start().await, FcmService::start().await);
        // One moment for all pushes, so that no byte differs for the sake of time.
        let clock = Arc::new(SettableClock::default());
        let guard = Guard::allowing(["127.0.0.1"]);
        let (ids, vapid) = (SystemIds::new(), Arc::new(vapid));
        let key = ApnsKey::new(&apns_service::key_pem(), KEY_ID, TEAM_ID).unwrap();
        let at_apple = base_url(&apple.url()).unwrap();
        let at_google = base_url(&google.url()).unwrap();
        let account = ServiceAccount::parse(&google.credentials()).unwrap();
        let services = PushServices {
            web_push: WebPush::new(guard, vapid, clock.clone(), ids.clone()).unwrap(),
            apns: Some(Apns::new(key, at_apple.clone(), at_apple, clock.clone()).unwrap()),
            fcm: Some(Fcm::new(account, &at_google, clock, ids).unwrap()),
        };
        let providers = Self {
            web_push,
            phone,
            apple,
            google,
        };
        (providers, Arc::new(services))
    }

    fn counts(&self) -> [usize; 3] {
        let google = self.google.messages().len();
        [
            self.web_push.stored().len(),
            self.apple.seen().len(),
            google,
        ]
    }
}

#[tokio::test]
async fn a_wake_up_is_the_same_bytes_whatever_the_cause() {
    let (providers, notifier) = Providers::start().await;
    let settings = OutboxSettings {
        heartbeat: Some(24 * HOUR),
        ..settings()
    };
    let stage = OutboxStage::start(Arc::new(MemoryEventStore::new()), notifier, settings).await;
    let apple = PushTarget::apns(vec![9; 32], TOPIC.to_owned(), ApnsEnvironment::Production);
    let clients = [
        stage.client(1, providers.phone.target()).await,
        stage.client(2, apple.unwrap()).await,
        stage.client(3, target(3)).await,
    ];
    stage.watch(&clients, &script()).await;
    // The codes may or may not have been sent before they were given back; they are no wake-ups.
    tokio::time::sleep(QUIET).await;
    let codes = providers.counts();
    providers.phone.receive_sealed(Duration::ZERO).await;

    let mut sealed = Vec::new();
    let mut moved = Duration::ZERO;
    let rounds = causes().into_iter().map(Some).chain([None]);
    let mut wakes = 0;
    for cause in rounds {
        match cause {
            Some(events) => stage.chain(events).await,
            None => {
                for number in 1..=3 {
                    stage.message(number).await;
                }
            }
        }
        wakes += 1;
        let all = || {
            providers
                .counts()
                .iter()
                .zip(codes)
                .all(|(now, codes)| *now == codes + wakes)
        };
        stage.until("all three phones were woken", all).await;
        sealed.extend(providers.phone.receive_sealed(Duration::ZERO).await);
        clients.iter().for_each(|client| stage.fetch(client));
        moved += PUSH_FETCH_GRACE;
        stage
            .clock
            .set_offset_ms(i64::try_from(moved.as_millis()).unwrap());
    }
    // And without a cause.
    stage
        .clock
        .set_offset_ms(i64::try_from((48 * HOUR).as_millis()).unwrap());
    tokio::time::sleep(QUIET).await;
    stage
        .clock
        .set_offset_ms(i64::try_from((96 * HOUR).as_millis()).unwrap());
    let beats = || {
        providers
            .counts()
            .iter()
            .zip(codes)
            .all(|(now, codes)| *now > codes + wakes)
    };
    stage.until("the heartbeat came to all three", beats).await;
    sealed.extend(providers.phone.receive_sealed(Duration::ZERO).await);

    let opened: Vec<_> = sealed
        .iter()
        .map(|body| (body.len(), providers.phone.open(body)))
        .collect();
    assert!(
        opened.len() > wakes && opened.iter().all(|one| *one == opened[0]),
        "{opened:?}"
    );
    let headers = &providers.web_push.stored()[codes[0]..];
    assert!(headers.iter().all(|one| *one == headers[0]));
    let stable = |headers: &[(String, String)]| -> Vec<_> {
        let changing = ["apns-expiration"];
        let kept = headers
            .iter()
            .filter(|(name, _)| !changing.contains(&name.as_str()));
        kept.cloned().collect()
    };
    for seen in [
        &providers.apple.seen()[codes[1]..],
        &providers.google.messages()[codes[2]..],
    ] {
        for one in seen {
            assert_eq!((&one.path, &one.body), (&seen[0].path, &seen[0].body));
            assert_eq!(stable(&one.headers), stable(&seen[0].headers));
        }
    }
}
