//! Catching up, following, rebuilding.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, BoxStream};
use satpost_domain::Position;
use tokio::sync::oneshot;

use super::*;
use crate::client_directory::ClientDirectory;
use crate::test_log::{TestLog, client, key};

/// A source whose every `follow` gives the next of these answers, then nothing for ever.
struct Script {
    answers: Mutex<VecDeque<Vec<Result<Item, FollowError>>>>,
    asked: Mutex<Vec<Position>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Vec<Result<Item, FollowError>>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        })
    }
}

impl EventSource for Script {
    fn follow_types(
        &self,
        after: Position,
        _: &[&'static str],
    ) -> BoxStream<'static, Result<Item, FollowError>> {
        self.asked.lock().unwrap().push(after);
        match self.answers.lock().unwrap().pop_front() {
            Some(items) => stream::iter(items).boxed(),
            None => stream::pending().boxed(),
        }
    }
}

fn events(log: &TestLog, range: std::ops::Range<usize>) -> Vec<Result<Item, FollowError>> {
    log.envelopes[range]
        .iter()
        .map(|envelope| Ok(Item::Event(Box::new(envelope.clone()))))
        .collect()
}

fn failure() -> Result<Item, FollowError> {
    Err(FollowError {
        reason: "the disk is on fire".to_owned(),
    })
}

fn history(clients: u8) -> TestLog {
    let mut log = TestLog::default();
    for byte in 1..=clients {
        log.register(client(byte), key(byte));
    }
    log
}

#[tokio::test(start_paused = true)]
async fn tries_again_after_a_failure_from_where_it_stands() {
    let log = history(6);
    let mut first = events(&log, 0..2);
    first.push(failure());
    let mut second = events(&log, 2..5);
    second.push(Ok(Item::CaughtUp));
    second.extend(events(&log, 5..6));
    let source = Script::new([first, vec![failure()], second]);
    let model = Arc::new(ReadModel::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let seen = Arc::new(Mutex::new(0));
    let running = tokio::spawn({
        let (model, source, seen) = (Arc::clone(&model), Arc::clone(&source), Arc::clone(&seen));
        async move {
            let count = |envelopes: &[Envelope]| *seen.lock().unwrap() += envelopes.len();
            let shutdown = async { drop(stopped.await) };
            run(&model, source.as_ref(), count, shutdown).await;
        }
    });
    assert!(
        model
            .wait_for(Position::new(6, 0), Duration::from_secs(60))
            .await
    );
    assert!(model.is_live());
    assert_eq!(model.client_directory().len(), 6);
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(*seen.lock().unwrap(), 6);
    let asked = source.asked.lock().unwrap().clone();
    let at = |number| Position::new(number, 0);
    assert_eq!(asked[..3], [at(0), at(2), at(2)]);
}

#[tokio::test(start_paused = true)]
async fn is_live_only_after_the_history() {
    let log = history(2);
    let mut items = events(&log, 0..2);
    items.push(failure());
    let source = Script::new([items]);
    let model = ReadModel::new();
    let shutdown = tokio::time::sleep(Duration::from_secs(5));
    run(&model, source.as_ref(), |_| {}, shutdown).await;
    assert_eq!(model.position(), Position::new(2, 0));
    assert!(!model.is_live());
}

#[tokio::test]
async fn rebuilds_up_to_a_position_and_no_further() {
    let log = history(10);
    let source = Script::new([events(&log, 0..10), events(&log, 0..10)]);
    let mut progress = Vec::new();
    let up_to = Position::new(4, 0);
    let directory: ClientDirectory = rebuild(source.as_ref(), up_to, |at| progress.push(at))
        .await
        .unwrap();
    assert_eq!(directory.len(), 4);
    assert_eq!(progress, [up_to]);
    let model = rebuild_all(source.as_ref(), up_to, |_| {}).await.unwrap();
    assert_eq!(model.position(), up_to);
    assert_eq!(model.client_directory().len(), 4);
}

#[tokio::test]
async fn a_rebuild_says_when_the_log_is_too_short_or_cannot_be_read() {
    let log = history(3);
    let up_to = Position::new(4, 0);
    for end in [failure(), Ok(Item::CaughtUp)] {
        let mut items = events(&log, 0..3);
        items.push(end);
        let source = Script::new([items, events(&log, 0..3)]);
        assert!(rebuild_all(source.as_ref(), up_to, |_| {}).await.is_err());
        let ended = rebuild_all(source.as_ref(), up_to, |_| {}).await;
        assert!(ended.is_err(), "the source ended");
    }
}

#[tokio::test]
async fn a_rebuild_ends_at_a_checkpoint_behind_which_nothing_is() {
    let log = history(2);
    let mut items = events(&log, 0..2);
    items.push(Ok(Item::CheckpointAt(Position::new(9, 0))));
    let source = Script::new([items]);
    let model = rebuild_all(source.as_ref(), Position::new(7, 0), |_| {}).await;
    assert_eq!(model.unwrap().client_directory().len(), 2);
}
