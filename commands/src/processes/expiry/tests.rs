//! Time passes.

use satpost_domain::ClientId;
use satpost_domain::limits::MESSAGE_TTL_DEFAULT;

use super::*;
use crate::register_client::register_client;
use crate::send_message::send_message;
use crate::testing::{TestServer, befriend, context, posting};

const KEYS: [MessagingKey; 2] = [
    MessagingKey::from_stored([1; 32]),
    MessagingKey::from_stored([2; 32]),
];

#[tokio::test]
async fn lets_go_of_what_has_run_out_in_each_mailbox() {
    let server = TestServer::start();
    for (number, key) in (0..).zip(KEYS) {
        let owner = ClientId::from_stored([10 + u8::try_from(number).unwrap(); 32]);
        register_client(&server.handler, context(number), owner, key)
            .await
            .unwrap();
        befriend(&server.handler, key).await;
        for message in 0..2 {
            let id = context(10 + 2 * number + message);
            send_message(&server.handler, id, &posting(key, [0; 512]))
                .await
                .unwrap();
        }
    }
    let expire = || expire_mailboxes(&server.handler, KEYS.to_vec());
    assert_eq!(expire().await.unwrap(), 0);
    let ttl = u64::try_from(MESSAGE_TTL_DEFAULT.as_millis()).unwrap();
    server.clock.advance(ttl);
    assert_eq!(expire().await.unwrap(), 4);
    assert_eq!(expire().await.unwrap(), 0);
    assert!(server.log.held().is_empty());
}
