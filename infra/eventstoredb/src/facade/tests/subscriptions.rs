//! Following a stream or the whole log.

use std::time::Duration;

use eventstore::{
    Error, ExpectedRevision, Position, StreamPosition, SubscribeToAllOptions,
    SubscribeToStreamOptions, Subscription, SubscriptionEvent, SubscriptionFilter,
};

use super::{Served, counted, number, serve_with, served};
use crate::facade::FacadeOptions;

/// What a subscriber was told, in short.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Confirmed,
    Event(u64),
    Checkpoint(u64),
    CaughtUp,
    FellBehind,
}

async fn next(subscription: &mut Subscription) -> Told {
    let event = tokio::time::timeout(
        Duration::from_secs(10),
        subscription.next_subscription_event(),
    );
    match event.await.expect("something comes").unwrap() {
        SubscriptionEvent::Confirmed(_) => Told::Confirmed,
        SubscriptionEvent::EventAppeared(event) => Told::Event(number(&event.event.unwrap())),
        SubscriptionEvent::Checkpoint(at) => Told::Checkpoint(at.commit),
        SubscriptionEvent::CaughtUp => Told::CaughtUp,
        SubscriptionEvent::FellBehind => Told::FellBehind,
        other => panic!("{other:?} was not expected"),
    }
}

async fn told(subscription: &mut Subscription, count: usize) -> Vec<Told> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(next(subscription).await);
    }
    all
}

async fn append(served: &Served, stream: &str, number: u64) {
    served
        .append(stream, ExpectedRevision::Any, vec![counted(number)])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_followed_from_its_history_into_the_present() {
    let served = served().await;
    served.fill("box-a", 200).await;
    append(&served, "box-ab", 900).await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Position(197));
    let mut subscription = served.client.subscribe_to_stream("box-a", &options).await;
    assert_eq!(
        told(&mut subscription, 4).await,
        [
            Told::Confirmed,
            Told::Event(198),
            Told::Event(199),
            Told::CaughtUp
        ]
    );
    append(&served, "box-ab", 901).await;
    append(&served, "box-a", 200).await;
    assert_eq!(next(&mut subscription).await, Told::Event(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_there_yet_can_be_followed() {
    let served = served().await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Start);
    let mut subscription = served.client.subscribe_to_stream("box-a", &options).await;
    assert_eq!(
        told(&mut subscription, 2).await,
        [Told::Confirmed, Told::CaughtUp]
    );
    append(&served, "box-a", 0).await;
    assert_eq!(next(&mut subscription).await, Told::Event(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_followed_strictly_after_a_position() {
    let served = served().await;
    served.fill("box-a", 3).await;
    let at = Position {
        commit: 2,
        prepare: 2,
    };
    let options = SubscribeToAllOptions::default().position(StreamPosition::Position(at));
    let mut subscription = served.client.subscribe_to_all(&options).await;
    assert_eq!(
        told(&mut subscription, 3).await,
        [Told::Confirmed, Told::Event(2), Told::CaughtUp]
    );
    let options = SubscribeToAllOptions::default().position(StreamPosition::End);
    let mut subscription = served.client.subscribe_to_all(&options).await;
    assert_eq!(
        told(&mut subscription, 2).await,
        [Told::Confirmed, Told::CaughtUp]
    );
    append(&served, "box-b", 7).await;
    assert_eq!(next(&mut subscription).await, Told::Event(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_gives_what_it_wants_and_tells_how_far_it_has_looked() {
    for filter in [
        SubscriptionFilter::on_stream_name().add_prefix("box-b"),
        SubscriptionFilter::on_stream_name().regex("^box-(b|x)$"),
    ] {
        let served = served().await;
        served.fill("box-a", 2).await;
        append(&served, "box-b", 50).await;
        append(&served, "box-a", 2).await;
        let options = SubscribeToAllOptions::default()
            .position(StreamPosition::Start)
            .filter(filter);
        let mut subscription = served.client.subscribe_to_all(&options).await;
        assert_eq!(
            told(&mut subscription, 4).await,
            [
                Told::Confirmed,
                Told::Event(50),
                Told::Checkpoint(4),
                Told::CaughtUp
            ]
        );
        append(&served, "box-a", 3).await;
        assert_eq!(next(&mut subscription).await, Told::Checkpoint(5));
        append(&served, "box-b", 51).await;
        assert_eq!(next(&mut subscription).await, Told::Event(51));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_come_in_the_interval_that_was_asked_for() {
    let served = served().await;
    served.fill("box-a", 25).await;
    let filter = SubscriptionFilter::on_event_type()
        .exclude_system_events()
        .max(10);
    let options = SubscribeToAllOptions::default()
        .position(StreamPosition::Start)
        .filter(filter);
    let mut subscription = served.client.subscribe_to_all(&options).await;
    let mut checkpoints = Vec::new();
    loop {
        match next(&mut subscription).await {
            Told::Checkpoint(at) => checkpoints.push(at),
            Told::CaughtUp => break,
            _ => {}
        }
    }
    assert_eq!(checkpoints, [10, 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_filter_that_is_no_expression_or_too_long() {
    let served = served().await;
    let long = "a".repeat(crate::facade::bounds::REGEX_BYTES_MAX + 1);
    for regex in ["(", &long] {
        let filter = SubscriptionFilter::on_stream_name().regex(regex);
        let options = SubscribeToAllOptions::default().filter(filter);
        let mut subscription = served.client.subscribe_to_all(&options).await;
        let refused = subscription.next_subscription_event().await;
        assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_subscriptions_is_bounded_and_a_place_is_given_back() {
    let served = serve_with(FacadeOptions {
        append: true,
        subscriptions_max: 1,
        ..FacadeOptions::default()
    })
    .await;
    let options = SubscribeToAllOptions::default();
    let mut first = served.client.subscribe_to_all(&options).await;
    assert_eq!(next(&mut first).await, Told::Confirmed);
    let mut second = served.client.subscribe_to_all(&options).await;
    let refused = second.next_subscription_event().await;
    let Err(Error::Grpc { code, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(code, tonic::Code::ResourceExhausted);

    drop(first);
    let placed = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let mut third = served.client.subscribe_to_all(&options).await;
            if third.next_subscription_event().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    placed.await.expect("the place is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_is_told_that_it_fell_behind_and_misses_nothing() {
    let served = served().await;
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
    let mut subscription = served.client.subscribe_to_all(&options).await;
    assert_eq!(
        told(&mut subscription, 2).await,
        [Told::Confirmed, Told::CaughtUp]
    );
    served.fill("box-a", 3_000).await;
    let mut seen = Vec::new();
    let mut fell_behind = 0;
    loop {
        match next(&mut subscription).await {
            Told::Event(number) => seen.push(number),
            Told::FellBehind => fell_behind += 1,
            Told::CaughtUp => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, (0..3_000).collect::<Vec<_>>());
    assert_eq!(fell_behind, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_with_an_error_when_the_facade_stops() {
    let served = served().await;
    let options = SubscribeToAllOptions::default();
    let mut subscription = served.client.subscribe_to_all(&options).await;
    assert_eq!(
        told(&mut subscription, 2).await,
        [Told::Confirmed, Told::CaughtUp]
    );
    served.stop.cancel();
    let ended = tokio::time::timeout(
        Duration::from_secs(5),
        subscription.next_subscription_event(),
    );
    let ended = ended.await.expect("it ends");
    assert!(matches!(ended, Err(Error::ServerError(_))), "{ended:?}");
}
