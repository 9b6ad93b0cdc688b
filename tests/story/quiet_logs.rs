//! Nothing that is secret or tells who somebody is stands in what the server says, not even at trace
//! level: the story of the README is played with everything switched on, with requests beside it whose
//! every secret is known, and then all of it is searched.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use satpost_api_types::clients::RegisterClientRequest;
use satpost_api_types::mailboxes::StrangerPolicy;
use satpost_api_types::push::SetPushTargetRequest;
use satpost_commands::ports::Clock as _;
use satpost_domain::hash::sha256;
use satpost_infra::system::SystemClock;
use satpost_tests::signed_request::{Request, RequestKey};
use serde_json::{Value, json};

use crate::readme::story;
use crate::stage::Stage;

/// Where the requests with known secrets come from.
const PEER: &str = "127.86.75.64";
/// An address that nobody else has.
const ADDRESS: &str = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";
/// The push target of the known client: the push service does not know it.
const PUSH_PATH: &str = "/push/c0ffee5ecretc0ffee5ecret";

/// What must not be said, and what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() >= 8, "{what} {text:?} would be found anywhere");
        self.0.push((what, text));
    }

    /// Bytes in every form in which they could stand in a line.
    fn add_bytes(&mut self, what: &'static str, bytes: &[u8]) {
        let part = &bytes[..bytes.len().min(24)];
        self.add(what, hex::encode(part));
        self.add(what, hex::encode_upper(part));
        self.add(what, STANDARD.encode(part).trim_end_matches('=').to_owned());
        self.add(what, URL_SAFE_NO_PAD.encode(part));
        self.add(what, listed(&part[..part.len().min(6)]));
    }
}

/// As `Debug` shows bytes.
fn listed(bytes: &[u8]) -> String {
    let shown = format!("{bytes:?}");
    shown.trim_matches(['[', ']']).to_owned()
}

/// Sends a signed request from [`PEER`]; its status.
fn send(stage: &Stage, request: &Request<'_>, secrets: &mut Secrets) -> u16 {
    let api = stage.server().api;
    let authority = request.authority.clone().unwrap_or(api.to_string());
    let headers = request.sign_for(authority, SystemClock.now().as_secs());
    let body = request.body.as_ref().map_or(&[][..], |(_, bytes)| bytes);
    let mut head = format!(
        "{} {} HTTP/1.1\r\nconnection: close\r\n",
        request.method, request.path
    );
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
        if *name == "signature" || *name == "content-digest" {
            let (_, value) = value.split_once("=:").unwrap();
            secrets.add("a signature or digest", &value[..32]);
        } else if *name == "signature-input" {
            let (_, nonce) = value.split_once("nonce=\"").unwrap();
            secrets.add("a nonce", nonce.split('"').next().unwrap());
        }
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let answer = exchange(api, &[head.as_bytes(), body].concat());
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{answer}"))
}

/// Sends bytes from [`PEER`] and reads until the server closes.
fn exchange(api: SocketAddr, bytes: &[u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(PEER.parse().unwrap(), 0))
            .unwrap();
        socket.connect(api).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let mut stream = stream;
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Registers, watches, sets a push target, sends, fetches; well and badly.
fn known_requests(stage: &Stage, secrets: &mut Secrets) {
    let (identity, messaging) = (RequestKey::new(901), RequestKey::new(902));
    let register = Request::command(Method::POST, "/v1/clients", &identity)
        .json(&RegisterClientRequest {
            client_id: identity.hex(),
            messaging_key: messaging.hex(),
        })
        .proven_by(&messaging);
    assert_eq!(send(stage, &register, secrets), 201);
    let open = Request::stranger_policy(&messaging, StrangerPolicy::Open);
    assert_eq!(send(stage, &open, secrets), 204);
    let watch = json!({ "addresses": [ADDRESS] });
    let watch = Request::command(Method::POST, "/v1/addresses", &identity).json(&watch);
    assert_eq!(send(stage, &watch, secrets), 200);
    let target = SetPushTargetRequest::WebPush {
        endpoint: format!("http://{}{PUSH_PATH}", stage.push_address()),
        p256dh: public_point(),
        auth: URL_SAFE_NO_PAD.encode(&sha256(b"auth").as_bytes()[..16]),
    };
    let set = Request::command(Method::PUT, "/v1/push", &identity).json(&target);
    assert_eq!(send(stage, &set, secrets), 202);
    let body: Vec<u8> = (0..16_u8)
        .flat_map(|n| *sha256(&[n, 7]).as_bytes())
        .collect();
    let path = format!("/v1/queues/{}/messages", messaging.hex());
    let message = Request::command(Method::POST, &path, &identity)
        .body("application/octet-stream", body.clone());
    assert_eq!(send(stage, &message, secrets), 201);
    let queries = [
        "/v1/messages",
        "/v1/addresses",
        "/v1/transactions",
        "/v1/push",
    ];
    for path in queries {
        send(stage, &Request::query(path, &identity), secrets);
        send(stage, &Request::query(path, &messaging), secrets);
    }
    let mut forged = Request::query("/v1/messages", &messaging);
    forged.authority = Some("elsewhere.example".to_owned());
    assert_eq!(send(stage, &forged, secrets), 401);
    let garbled = Request::command(Method::POST, "/v1/addresses", &identity).body(
        "application/json",
        format!("{{\"addresses\":[\"{ADDRESS}\",").into_bytes(),
    );
    assert_eq!(send(stage, &garbled, secrets), 400);
    secrets.add_bytes("a message", &body);
    secrets.add("an address", ADDRESS);
    secrets.add("the address of a peer", PEER);
    secrets.add("a push endpoint", PUSH_PATH);
    secrets.add(
        "a push secret",
        URL_SAFE_NO_PAD.encode(&sha256(b"auth").as_bytes()[..16]),
    );
    secrets.add_bytes("an identity key", &identity.bytes());
    secrets.add_bytes("a messaging key", &messaging.bytes());
}

/// A point that a push can be encrypted to.
fn public_point() -> String {
    let key = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    URL_SAFE_NO_PAD.encode(key.public_key().to_sec1_bytes())
}

/// What the wallets of the story and the node know.
fn secrets_of_the_story(stage: &Stage, secrets: &mut Secrets) {
    secrets.add("the words of a message", "the tea is ready");
    for home in ["alice", "bob"] {
        let told = stage.told(&format!("satpost --home {home} --json list-addresses"));
        for line in told.lines() {
            let watched: Value = serde_json::from_str(line).unwrap();
            let address = watched["address"].as_str().unwrap();
            secrets.add("a watched address", address);
            let script = hex::decode(watched["script"].as_str().unwrap()).unwrap();
            secrets.add_bytes("a watched script", &script);
            secrets.add_bytes("the hash of a watched script", sha256(&script).as_bytes());
        }
        let told = stage.told(&format!("satpost --home {home} --json list-transactions"));
        for line in told.lines() {
            let transaction: Value = serde_json::from_str(line).unwrap();
            let txid = transaction["txid"].as_str().unwrap().to_owned();
            secrets.add("the id of a wallet's transaction", txid);
        }
    }
    let push_service = format!("{}/push/", stage.push_address());
    secrets.add("a push endpoint", push_service);
    let cookie = fs::read_to_string(stage.folder().join("node/regtest/.cookie")).unwrap();
    let (_, password) = cookie.split_once(':').unwrap();
    secrets.add("the node's password", password);
    secrets.add(
        "the node's password",
        STANDARD.encode(&cookie).trim_end_matches('='),
    );
    let keys = fs::read_dir(stage.server().data_dir.join("keys")).unwrap();
    for file in keys {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        secrets.add_bytes("a key of the server", &bytes);
        if let Ok(text) = String::from_utf8(bytes) {
            secrets.add("a key of the server", text.trim_end());
        }
    }
}

#[test]
fn nothing_secret_is_said_at_trace_level() {
    let flags = ["--log-filter", "trace", "--log-format", "json"];
    let mut stage = Stage::set_with(&flags);
    let mut secrets = Secrets::default();
    for step in story() {
        stage.play(&step);
    }
    known_requests(&stage, &mut secrets);
    secrets_of_the_story(&stage, &mut secrets);
    stage.stop_the_server();
    stage.what_was_closed_is_gone();
    let log = stage.server().whole_log();
    assert!(
        log.contains("\"level\":\"DEBUG\""),
        "the filter was not applied"
    );
    assert!(
        log.contains("request answered"),
        "the requests were not logged"
    );
    let mut found = Vec::new();
    for (what, secret) in &secrets.0 {
        let lines = log.lines().filter(|line| line.contains(secret.as_str()));
        found.extend(lines.take(3).map(|line| format!("{what}: {line}")));
    }
    assert!(
        found.is_empty(),
        "{} lines:\n{}",
        found.len(),
        found.join("\n")
    );
}
