//! An import is many commands, and one to the caller.

use satpost_domain::network::Network;
use satpost_domain::script::Script;

use super::*;
use crate::testing::{TestServer, context};

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const BOUNDS: WatchBounds = WatchBounds::new(Network::Regtest, None);

fn watches(numbers: std::ops::Range<u32>) -> Vec<(WatchTarget, WatchWish)> {
    numbers
        .map(|number| {
            let script = Script::new(&number.to_be_bytes()).unwrap();
            (script.into(), WatchWish::default())
        })
        .collect()
}

#[tokio::test]
async fn takes_more_than_one_command_can() {
    const MANY: u32 = 3_000;
    let server = TestServer::start();
    let import = async |number, watches: &[_]| {
        let context = context(number);
        import_addresses(&server.handler, context, ALICE, watches, BOUNDS)
            .await
            .unwrap()
    };
    let done = import(1, &watches(0..MANY)).await;
    assert_eq!(done.added, MANY as usize);
    assert_eq!((done.changed, done.refused), (0, None));
    assert_eq!(done.carried_out, MANY as usize);
    assert_eq!(server.log.held().len(), MANY as usize);
    assert_eq!(import(1, &watches(0..MANY)).await, done, "a repeat");
    let further = import(2, &watches(MANY - 10..MANY + 10)).await;
    assert_eq!((further.added, further.carried_out), (10, 20));
}

#[tokio::test]
async fn says_how_far_it_came_when_the_list_is_full() {
    let server = TestServer::start();
    let bounds = WatchBounds {
        list_max: 2_000,
        ..BOUNDS
    };
    let (handler, context) = (&server.handler, context(1));
    let watches = watches(0..2_500);
    let done = import_addresses(handler, context, ALICE, &watches, bounds).await;
    let done = done.unwrap();
    assert_eq!(done.carried_out, EVENTS_PER_COMMAND_MAX);
    assert_eq!(done.added, EVENTS_PER_COMMAND_MAX);
    assert!(matches!(done.refused, Some(WatchlistError::Full { .. })));
    assert_eq!(server.log.held().len(), EVENTS_PER_COMMAND_MAX);
}
