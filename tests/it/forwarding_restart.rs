//! The real server is killed right after a client has changed its messaging key: messages to any of its
//! former keys arrive all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use satpost_api_types::clients::{RegisterClientRequest, RotateMessagingKeyRequest};
use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_api_types::messages::{FetchMessagesResponse, SendMessageResponse};
use satpost_tests::process::ServerProcess;
use satpost_tests::signed_request::{Answer, Request, RequestKey};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

/// How often the key is changed.
const ROTATIONS: u64 = 3;
/// How long it may take until messages are passed on.
const DEADLINE: Duration = Duration::from_secs(20);

struct Stage {
    server: ServerProcess,
    http: reqwest::Client,
    alice: RequestKey,
    bob: RequestKey,
}

impl Stage {
    /// Signs and sends; again when the server was started within the second of the signature.
    async fn send(&self, request: &Request<'_>) -> Answer {
        loop {
            let answer = request.try_send(&self.http, self.server.api).await;
            let answer = answer.expect("the server answers");
            if answer.status != StatusCode::UNAUTHORIZED {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn register(&self, identity: &RequestKey, messaging: &RequestKey) {
        let request = Request::command(Method::POST, "/v1/clients", identity)
            .json(&RegisterClientRequest {
                client_id: identity.hex(),
                messaging_key: messaging.hex(),
            })
            .proven_by(messaging);
        assert_eq!(self.send(&request).await.status.as_u16(), 201);
        let open = Request::stranger_policy(messaging, StrangerPolicy::Open);
        self.send(&open).await.expect_empty(204);
    }

    async fn rotate(&self, messaging: &RequestKey) {
        let path = "/v1/clients/self/messaging-key";
        let request = Request::command(Method::PUT, path, &self.bob)
            .json(&RotateMessagingKeyRequest {
                client_id: self.bob.hex(),
                messaging_key: messaging.hex(),
            })
            .proven_by(messaging);
        self.send(&request).await.expect_empty(204);
    }

    /// Writes to `messaging`, and gives the id of the message and where it is seen.
    async fn write(&self, messaging: &RequestKey) -> (String, String) {
        let path = format!("/v1/queues/{}/messages", messaging.hex());
        let request = Request::command(Method::POST, &path, &self.alice)
            .body("application/octet-stream", vec![7; 512]);
        let answer = self.send(&request).await;
        let sent: SendMessageResponse = answer.expect(201);
        let position = answer.header("satpost-position").unwrap();
        (sent.id, position.to_owned())
    }

    /// The ids of what waits under `messaging` once `position` is seen.
    async fn waiting(&self, messaging: &RequestKey, position: &str) -> BTreeSet<String> {
        let request =
            Request::query("/v1/messages", messaging).header("satpost-min-position", position);
        let page: FetchMessagesResponse = self.send(&request).await.expect(200);
        let messages = page.messages.into_iter();
        messages.map(|message| message.id).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_former_keys_arrive_when_the_server_is_killed_after_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    // Fails when another test of this process was faster, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut stage = Stage {
        server: ServerProcess::start(&folder.path().join("satpost"), &[]),
        http: reqwest::Client::builder()
            .tls_certs_only([])
            .pool_max_idle_per_host(0)
            .build()
            .unwrap(),
        alice: RequestKey::new(0),
        bob: RequestKey::new(1),
    };
    let keys: Vec<_> = (0..=ROTATIONS)
        .map(|key| RequestKey::new(10 + key))
        .collect();
    stage.register(&stage.alice, &RequestKey::new(2)).await;
    stage.register(&stage.bob, &keys[0]).await;
    let mut sent = BTreeSet::new();
    let mut position = String::new();
    for present in &keys[1..] {
        stage.rotate(present).await;
        block_in_place(|| {
            stage.server.kill();
            stage.server.start_again();
        });
        // Until the process has caught up, the former mailbox takes them itself.
        let until = Instant::now() + DEADLINE;
        loop {
            let id;
            (id, position) = stage.write(&keys[0]).await;
            sent.insert(id.clone());
            if stage.waiting(present, &position).await.contains(&id) {
                break;
            }
            assert!(Instant::now() < until, "{}", stage.server.log_tail());
            sleep(Duration::from_millis(20)).await;
        }
    }
    let mut waiting = BTreeSet::new();
    let mut count = 0;
    for key in &keys {
        let ids = stage.waiting(key, &position).await;
        count += ids.len();
        waiting.extend(ids);
    }
    assert_eq!(waiting, sent, "each is in one of the mailboxes");
    assert_eq!(count, sent.len(), "and in one only");
    let code = block_in_place(|| stage.server.stop());
    assert_eq!(code, Some(0), "{}", stage.server.log_tail());
}
