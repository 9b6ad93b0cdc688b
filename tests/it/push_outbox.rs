//! The push outbox at work: when it wakes, and how often.

use std::sync::Arc;
use std::time::Duration;

use satpost_commands::ports::{Clock as _, PushOutcome};
use satpost_domain::ClientId;
use satpost_domain::limits::{
    PUSH_BREAKER_FAILURES, PUSH_FETCH_GRACE, PUSH_REFUSALS_MAX, PUSH_TTL,
};
use satpost_domain::push::PushTarget;
use satpost_event_store::EventStore;
use satpost_event_store::memory::MemoryEventStore;
use satpost_infra::outbox::OutboxSettings;
use satpost_tests::outbox_stage::{OutboxStage, RecordingNotifier};

/// Longer than the outbox needs to look again, so that what does not happen in it does not happen.
pub(super) const QUIET: Duration = Duration::from_millis(700);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn target(number: u8) -> PushTarget {
    PushTarget::fcm(format!("token-{number}")).unwrap()
}

pub(super) fn settings() -> OutboxSettings {
    OutboxSettings {
        wake_interval_min: Duration::from_millis(10),
        ..OutboxSettings::default()
    }
}

pub(super) struct Setup {
    pub(super) stage: OutboxStage,
    notifier: Arc<RecordingNotifier>,
    moved: Duration,
}

impl Setup {
    pub(super) async fn new() -> Self {
        Self::with(Arc::new(MemoryEventStore::new()), settings()).await
    }

    async fn with(store: Arc<dyn EventStore>, settings: OutboxSettings) -> Self {
        let notifier = Arc::new(RecordingNotifier::default());
        let stage = OutboxStage::start(store, notifier.clone(), settings).await;
        Self {
            stage,
            notifier,
            moved: Duration::ZERO,
        }
    }

    pub(super) async fn until_woken(&self, times: usize) {
        let woken = || self.notifier.wakes().len() >= times;
        self.stage
            .until(&format!("{times} wake-ups were sent"), woken)
            .await;
        assert_eq!(self.notifier.wakes().len(), times);
    }

    pub(super) async fn stays_woken(&self, times: usize) {
        tokio::time::sleep(QUIET).await;
        assert_eq!(self.notifier.wakes().len(), times);
    }

    fn later(&mut self, by: Duration) {
        self.moved += by;
        let moved = i64::try_from(self.moved.as_millis()).unwrap();
        self.stage.clock.set_offset_ms(moved);
    }

    fn is_active(&self, client: &ClientId) -> bool {
        self.stage
            .read_model
            .push_outbox()
            .active_target(client)
            .is_some()
    }

    fn metrics(&self) -> String {
        satpost_api::metrics::encode(&self.stage.registry).unwrap()
    }
}

#[tokio::test]
async fn wakes_a_phone_once_until_it_fetches() {
    let mut setup = Setup::new().await;
    let client = setup.stage.client(1, target(1)).await;
    setup.stage.message(1).await;
    setup.until_woken(1).await;
    setup.later(HOUR);
    setup.stage.message(1).await;
    setup.stage.message(1).await;
    setup.stays_woken(1).await;

    setup.stage.fetch(&client);
    setup.later(PUSH_FETCH_GRACE);
    setup.until_woken(2).await;
    setup.stage.fetch(&client);
    setup.later(PUSH_FETCH_GRACE);
    setup.stays_woken(2).await;
}

#[tokio::test]
async fn a_wake_up_that_was_never_answered_counts_for_a_day() {
    let mut setup = Setup::new().await;
    setup.stage.client(1, target(1)).await;
    setup.stage.message(1).await;
    setup.until_woken(1).await;
    setup.stage.message(1).await;
    setup.later(PUSH_TTL);
    setup.until_woken(2).await;
}

#[tokio::test]
async fn a_push_that_was_not_taken_comes_again() {
    let mut setup = Setup::new().await;
    let client = setup.stage.client(1, target(1)).await;
    setup.notifier.answer_next_with([
        PushOutcome::Retry(Some(HOUR)),
        PushOutcome::Unavailable(None),
    ]);
    setup.stage.message(1).await;
    setup.until_woken(1).await;
    setup.later(HOUR - Duration::from_secs(60));
    setup.stays_woken(1).await;
    setup.later(2 * HOUR);
    setup.until_woken(2).await;
    setup.later(HOUR);
    setup.until_woken(3).await;
    setup.stays_woken(3).await;
    assert!(setup.is_active(&client));
}

#[tokio::test]
async fn a_target_dies_of_refusals_in_a_row_only() {
    let mut setup = Setup::new().await;
    let client = setup.stage.client(1, target(1)).await;
    let refusals = usize::try_from(PUSH_REFUSALS_MAX).unwrap();
    setup
        .notifier
        .answer_next_with(vec![PushOutcome::Refused; refusals - 1]);
    setup.stage.message(1).await;
    for times in 1..=refusals {
        setup.until_woken(times).await;
        setup.later(HOUR);
    }
    assert!(setup.is_active(&client), "the last one was taken");
    setup.stage.fetch(&client);
    setup.notifier.answer_always_with(PushOutcome::Refused);
    setup.stage.message(1).await;
    for times in 1..=refusals {
        setup.later(HOUR);
        setup.until_woken(refusals + times).await;
    }
    setup
        .stage
        .until("the target is dead", || !setup.is_active(&client))
        .await;
}

#[tokio::test]
async fn a_target_dies_of_news_only_that_is_newer_than_it_is() {
    let mut setup = Setup::new().await;
    let before = setup.stage.clock.now();
    let client = setup.stage.client(1, target(1)).await;
    setup
        .notifier
        .answer_next_with([PushOutcome::Invalid(Some(before))]);
    setup.stage.message(1).await;
    setup.until_woken(1).await;
    setup.later(HOUR);
    setup.until_woken(2).await;
    assert!(setup.is_active(&client));

    setup.stage.fetch(&client);
    setup.later(HOUR);
    let now = setup.stage.clock.now();
    setup
        .notifier
        .answer_next_with([PushOutcome::Invalid(Some(now))]);
    setup.stage.message(1).await;
    setup
        .stage
        .until("the target is dead", || !setup.is_active(&client))
        .await;
    setup.later(HOUR);
    setup.stays_woken(3).await;
}

#[tokio::test]
async fn a_push_service_in_trouble_is_left_alone_and_asked_by_one_push() {
    let mut setup = Setup::new().await;
    let clients = u8::try_from(PUSH_BREAKER_FAILURES).unwrap() + 3;
    for number in 1..=clients {
        setup.stage.client(number, target(number)).await;
    }
    setup
        .notifier
        .answer_always_with(PushOutcome::Unavailable(Some(HOUR)));
    for number in 1..=clients {
        setup.stage.message(number).await;
    }
    let at_least = usize::try_from(PUSH_BREAKER_FAILURES).unwrap();
    let tried = || setup.notifier.wakes().len() >= at_least;
    setup
        .stage
        .until("the service has failed often", tried)
        .await;
    tokio::time::sleep(QUIET).await;
    let failed = setup.notifier.wakes().len();
    assert!(failed <= usize::from(clients));
    assert!(
        setup
            .metrics()
            .contains(r#"satpost_push_services_left_alone{provider="fcm"} 1"#),
        "{}",
        setup.metrics()
    );

    setup.later(2 * HOUR);
    setup.until_woken(failed + 1).await;
    setup.stays_woken(failed + 1).await;
    setup.notifier.answer_always_with(PushOutcome::Accepted);
    setup.later(2 * HOUR);
    setup.until_woken(failed + 2).await;
    setup.later(HOUR);
    setup.until_woken(failed + 1 + usize::from(clients)).await;
    setup.stays_woken(failed + 1 + usize::from(clients)).await;
}

#[tokio::test]
async fn a_mistake_of_the_operator_costs_no_phone_its_target() {
    let mut setup = Setup::new().await;
    let client = setup.stage.client(1, target(1)).await;
    setup
        .notifier
        .answer_next_with(vec![PushOutcome::Misconfigured; 3]);
    setup.stage.message(1).await;
    for times in 1..=4 {
        setup.until_woken(times).await;
        setup.later(HOUR);
    }
    assert!(setup.is_active(&client));
    setup.stays_woken(4).await;
}

#[tokio::test]
async fn a_trigger_that_was_not_pushed_before_a_restart_is_pushed_after_it() {
    let store = Arc::new(MemoryEventStore::new());
    let setup = Setup::with(store.clone(), settings()).await;
    setup.stage.client(1, target(1)).await;
    setup.notifier.stall();
    setup.stage.message(1).await;
    setup.until_woken(1).await;
    drop(setup);

    let setup = Setup::with(store.clone(), settings()).await;
    setup.until_woken(1).await;
    setup
        .stage
        .until("it is recorded", || {
            setup.stage.read_model.push_outbox().owed() == 0
        })
        .await;
    drop(setup);

    let setup = Setup::with(store, settings()).await;
    setup.stays_woken(0).await;
    setup.stage.message(1).await;
    setup.until_woken(1).await;
}

#[tokio::test]
async fn a_heartbeat_wakes_without_a_cause_and_writes_nothing() {
    let mut setup = Setup::with(
        Arc::new(MemoryEventStore::new()),
        OutboxSettings {
            heartbeat: Some(HOUR),
            ..settings()
        },
    )
    .await;
    setup.stage.client(1, target(1)).await;
    let position = setup.stage.read_model.position();
    // The first round began before there was a phone.
    for times in 1..=3 {
        setup.later(HOUR);
        tokio::time::sleep(QUIET).await;
        setup.later(HOUR);
        setup
            .stage
            .until("a heartbeat came", || setup.notifier.wakes().len() >= times)
            .await;
    }
    assert_eq!(setup.stage.read_model.position(), position);
}
