//! Web Push against push services that others have written: ntfy, and `web-push-testing` from npm.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use satpost_api_types::push::{PUSH_KIND_WAKE, PUSH_PLAINTEXT_BYTES};
use satpost_commands::ports::{Notifier, PushOutcome, PushPayload};
use satpost_domain::push::PushTarget;
use satpost_infra::push::{Guard, Vapid, WebPush};
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_tests::ntfy::Ntfy;
use satpost_tests::process::free_address;
use satpost_tests::push_receiver::PushReceiver;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// UnifiedPush topics of ntfy begin with "up" and have 14 characters.
const TOPIC: &str = "upSatpost01234";

fn notifier() -> (WebPush, String) {
    let key = SecretKey::from_slice(&[7; 32]).unwrap();
    let vapid = Vapid::new(&key, "mailto:operator@wallet.example").unwrap();
    let public_key = vapid.public_key().to_owned();
    let guard = Guard::allowing(["127.0.0.1", "localhost"]);
    let clock = Arc::new(SystemClock);
    let notifier = WebPush::new(guard, Arc::new(vapid), clock, SystemIds::new());
    (notifier.unwrap(), public_key)
}

fn wake() -> Vec<u8> {
    let mut expected = vec![0; PUSH_PLAINTEXT_BYTES];
    expected[0] = PUSH_KIND_WAKE;
    expected
}

#[tokio::test]
async fn ntfy_carries_a_wake_up_to_a_phone_that_listens() {
    let ntfy = Ntfy::start().await;
    let (notifier, _) = notifier();
    let phone = PushReceiver::at(ntfy.endpoint(TOPIC), 3);
    let target = phone.target();
    assert_eq!(
        notifier.push(&target, PushPayload::Wake).await,
        PushOutcome::Retry(None),
        "nobody has listened yet, and that may change"
    );
    let mut listener = ntfy.listen(TOPIC).await;
    let outcome = notifier.push(&target, PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Accepted);
    assert_eq!(phone.open(&listener.receive().await), wake());
}

/// The service from npm, as a process on loopback; it ends when this is dropped.
struct WebPushTesting {
    address: SocketAddr,
    http: reqwest::Client,
    _process: Child,
}

impl WebPushTesting {
    async fn start() -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let home = checkout.join(".tools/clients");
        assert!(
            home.join("stamp").exists(),
            "the packages from npm are missing; run: scripts/clients"
        );
        let address = free_address();
        let mut process = Command::new("node")
            .env("NODE_PATH", home.join("node/node_modules"))
            .arg(checkout.join("tests/clients/node/web-push.cjs"))
            .arg(address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // It says one line once it listens.
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = tokio::time::timeout(Duration::from_secs(30), lines.next_line());
        assert!(said.await.unwrap().unwrap().is_some(), "it does not start");
        Self {
            address,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _process: process,
        }
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}{path}", self.address);
        let response = self.http.post(url).json(&body).send().await.unwrap();
        let text = response.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

fn bytes<const N: usize>(text: &Value) -> [u8; N] {
    let text = text.as_str().unwrap().trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

#[tokio::test]
async fn a_push_service_from_npm_verifies_our_name_and_opens_our_wake_up() {
    let (notifier, vapid_key) = notifier();
    let service = WebPushTesting::start().await;
    let options = json!({ "userVisibleOnly": "true", "applicationServerKey": vapid_key });
    let subscription = &service.ask("/subscribe", options).await["data"];
    let endpoint = subscription["endpoint"].as_str().unwrap();
    let keys = &subscription["keys"];
    let target = PushTarget::web_push(
        endpoint.to_owned(),
        bytes(&keys["p256dh"]),
        bytes(&keys["auth"]),
    );
    let target = target.unwrap();
    let outcome = notifier.push(&target, PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Accepted);

    let hash = json!({ "clientHash": subscription["clientHash"] });
    let received = &service.ask("/get-notifications", hash).await["data"]["messages"];
    let expected = String::from_utf8(wake()).unwrap();
    assert_eq!(received, &json!([expected]));

    let expire = format!(
        "/expire-subscription/{}",
        subscription["clientHash"].as_str().unwrap()
    );
    service.ask(&expire, json!({})).await;
    let outcome = notifier.push(&target, PushPayload::Wake).await;
    assert_eq!(outcome, PushOutcome::Invalid(None), "it answers 410");
}
