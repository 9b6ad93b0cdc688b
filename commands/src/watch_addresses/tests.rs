//! A list that is filled and emptied.

use super::*;
use crate::testing::{TestServer, context};
use crate::unwatch_addresses::unwatch_addresses;

const ALICE: ClientId = ClientId::from_stored([1; 32]);

fn scripts(numbers: &[u8]) -> Vec<Script> {
    let scripts = numbers.iter().map(|number| Script::new(&[*number]));
    scripts.collect::<Result<_, _>>().unwrap()
}

async fn watch(server: &TestServer, number: u64, numbers: &[u8]) -> WatchedAddresses {
    watch_addresses(&server.handler, context(number), ALICE, scripts(numbers))
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
        unwatch_addresses(&server.handler, context(number), ALICE, scripts(&[1])).await
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
