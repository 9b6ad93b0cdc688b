//! Codes that come back.

use satpost_domain::MessagingKey;
use satpost_domain::push::PushTarget;

use super::*;
use crate::register_client::register_client;
use crate::remove_push_target::remove_push_target;
use crate::set_push_target::set_push_target;
use crate::testing::{TestServer, context};

const ALICE: ClientId = ClientId::from_stored([1; 32]);

/// A server on which a target waits for the code that [`sent_code`] reads.
async fn pending() -> TestServer {
    let server = TestServer::start();
    let key = MessagingKey::from_stored([2; 32]);
    register_client(&server.handler, context(0), ALICE, key)
        .await
        .unwrap();
    let mut p256dh = [0; 65];
    p256dh[0] = 4;
    let endpoint = "https://push.example/device".to_owned();
    let target = PushTarget::web_push(endpoint, p256dh, [0; 16]).unwrap();
    let set = set_push_target(&server.handler, context(1), ALICE, target.clone());
    let set = set.await.unwrap();
    // The repeat draws another code; the first one stays the right one.
    let again = set_push_target(&server.handler, context(1), ALICE, target);
    assert_eq!(again.await.unwrap(), set);
    server
}

fn sent_code(server: &TestServer) -> VerificationCode {
    let history = server.log.history(&StreamId::client(ALICE));
    let last = history
        .into_iter()
        .rev()
        .find_map(|envelope| match envelope.event {
            satpost_domain::Event::Client(ClientEvent::PushTargetSet { registration, .. }) => {
                registration.as_option().cloned()
            }
            _ => None,
        });
    last.expect("a target was set").code
}

async fn verify(
    server: &TestServer,
    number: u64,
    code: VerificationCode,
) -> Result<Position, CommandError<ClientError>> {
    verify_push_target(&server.handler, context(number), ALICE, code).await
}

#[tokio::test]
async fn the_right_code_puts_the_target_to_use() {
    let server = pending().await;
    let code = sent_code(&server);
    let verified = verify(&server, 2, code.clone()).await.unwrap();
    assert_eq!(verify(&server, 2, code).await.unwrap(), verified);
    let stream = StreamId::client(ALICE);
    let state = server.handler.state::<Client>(&stream);
    let push = state.await.unwrap().push();
    assert!(matches!(push, Some(PushState::Active { .. })));
}

#[tokio::test]
async fn wrong_codes_count_down_and_their_repeats_do_not() {
    let server = pending().await;
    for attempt in 1..=PUSH_CODE_ATTEMPTS_MAX {
        for _ in 0..2 {
            let wrong = VerificationCode::new([0xff; 16]);
            let refused = verify(&server, 1 + u64::from(attempt), wrong).await;
            let Err(CommandError::Rejected(ClientError::WrongPushCode { attempts_left })) = refused
            else {
                panic!("the code is wrong, and {refused:?}");
            };
            assert_eq!(attempts_left, PUSH_CODE_ATTEMPTS_MAX - attempt);
        }
    }
    let right = sent_code(&server);
    assert!(matches!(
        verify(&server, 99, right).await,
        Err(CommandError::Rejected(ClientError::PushCodeSpent))
    ));
}

#[tokio::test]
async fn a_removed_target_is_erased_and_waits_for_no_code() {
    let server = pending().await;
    let code = sent_code(&server);
    remove_push_target(&server.handler, context(2), ALICE)
        .await
        .unwrap();
    assert!(server.log.held().is_empty());
    assert!(matches!(
        verify(&server, 3, code).await,
        Err(CommandError::Rejected(ClientError::NoPushTargetPending))
    ));
}
