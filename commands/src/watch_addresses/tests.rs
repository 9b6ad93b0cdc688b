//! A list that is filled and emptied.

use satpost_domain::ids::ScriptHash;
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::Birthday;

use super::*;
use crate::testing::{TestServer, context};
use crate::unwatch_addresses::unwatch_addresses;

const ALICE: ClientId = ClientId::from_stored([1; 32]);

const BOUNDS: WatchBounds = WatchBounds::new(Network::Regtest, None);

fn hashes(numbers: &[u8]) -> Vec<ScriptHash> {
    let scripts = numbers.iter().map(|number| Script::new(&[*number]));
    scripts.map(|script| script.unwrap().hash()).collect()
}

fn watches(numbers: &[u8], wish: WatchWish) -> Vec<(WatchTarget, WatchWish)> {
    let scripts = numbers.iter().map(|number| Script::new(&[*number]));
    scripts
        .map(|script| (script.unwrap().into(), wish))
        .collect()
}

async fn watch(server: &TestServer, number: u64, numbers: &[u8]) -> WatchedAddresses {
    let watches = watches(numbers, WatchWish::default());
    watch_addresses(&server.handler, context(number), ALICE, watches, BOUNDS)
        .await
        .unwrap()
}

#[tokio::test]
async fn counts_what_was_not_watched_before() {
    let server = TestServer::start();
    assert_eq!(watch(&server, 1, &[1, 2]).await.added, 2);
    assert_eq!(watch(&server, 2, &[2, 3]).await.added, 1);
    assert_eq!(watch(&server, 3, &[1, 2, 3]).await.added, 0);
    let server = server.restart();
    assert_eq!(watch(&server, 2, &[2, 3]).await.added, 1);
}

#[tokio::test]
async fn forgets_addresses_and_a_restart_does_not_bring_them_back() {
    let server = TestServer::start();
    watch(&server, 1, &[1, 2]).await;
    let unwatch = async |server: &TestServer, number| {
        unwatch_addresses(&server.handler, context(number), ALICE, hashes(&[1])).await
    };
    unwatch(&server, 2).await.unwrap();
    assert_eq!(server.log.held().len(), 1);
    let server = server.restart();
    assert!(matches!(
        unwatch(&server, 3).await,
        Err(CommandError::Rejected(WatchlistError::NotWatched))
    ));
    assert_eq!(watch(&server, 4, &[1, 2]).await.added, 1);
}

#[tokio::test]
async fn counts_changed_options_apart() {
    let server = TestServer::start();
    watch(&server, 1, &[1, 2]).await;
    let wish = WatchWish {
        birthday: Some(Birthday::Height(7)),
        ..WatchWish::default()
    };
    let ask = async |number| {
        let watches = watches(&[2, 3], wish);
        watch_addresses(&server.handler, context(number), ALICE, watches, BOUNDS)
            .await
            .unwrap()
    };
    let watched = ask(2).await;
    assert_eq!((watched.added, watched.changed), (1, 1));
    let again = ask(3).await;
    assert_eq!((again.added, again.changed), (0, 0));
    // The script of an entry whose options changed is still there.
    assert_eq!(server.log.held().len(), 3);
}
