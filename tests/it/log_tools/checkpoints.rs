//! Signed checkpoints: made by the server, checked by `satpostd verify`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use satpost_client::http::{HttpClient, HttpOptions};
use satpost_client::keys::{IdentitySecret, MessagingSecret};
use satpost_client::seed::Seed;
use satpost_tests::process::ServerProcess;
use serde_json::Value;

use super::{json, said, text, told, tool};

async fn register(server: &ServerProcess, number: u8) {
    let seed = Seed::from_entropy(&[number; 16]).unwrap();
    let base = satpost_client::base_url::parse(&server.url()).unwrap();
    let http = HttpClient::new(base, HttpOptions::default()).unwrap();
    http.register_client(
        &IdentitySecret::derive(&seed),
        &MessagingSecret::derive(&seed, 0),
    )
    .await
    .unwrap();
}

fn lines(data: &Path) -> Vec<Value> {
    let text = fs::read_to_string(data.join("checkpoints.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits for the checkpoint that SIGUSR1 asks for.
#[allow(clippy::disallowed_methods, reason = "a real process takes real time")]
fn ask_for_checkpoint(server: &ServerProcess, data: &Path) {
    let before = lines(data).len();
    let pid = server.pid().to_string();
    let asked = Command::new("kill").args(["-USR1", &pid]).status().unwrap();
    assert!(asked.success());
    let until = Instant::now() + Duration::from_secs(20);
    while lines(data).len() == before {
        assert!(Instant::now() < until, "{}", server.log_tail());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A data folder that a server has written and signed twice: when asked to, and when it stopped.
async fn signed_log(root: &Path) -> PathBuf {
    let data = root.join("satpost");
    let mut server = ServerProcess::start(&data, &[]);
    register(&server, 1).await;
    ask_for_checkpoint(&server, &data);
    let beside = json("verify", &data, &[]);
    assert_eq!(beside["checkpoints"]["agree"], 1, "beside a running server");
    register(&server, 2).await;
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
    data
}

#[tokio::test]
async fn the_server_signs_its_log_and_verify_compares() {
    let root = tempfile::tempdir().unwrap();
    let data = signed_log(root.path()).await;
    let verified = json("verify", &data, &[]);
    assert_eq!(verified["checkpoints"]["agree"], 2);
    assert_eq!(verified["checkpoints"]["last"], verified["head"]);
    let key = lines(&data)[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(verified["checkpoints"]["expected_keys"][0], key.as_str());
    json("verify", &data, &["--key", &key]);
    let wrong = tool("verify", &data, &["--key", &"ab".repeat(32)]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said(&wrong).contains("not an expected one"),
        "{}",
        said(&wrong)
    );
    let file = data.join("checkpoints.jsonl");
    let signed = fs::read_to_string(&file).unwrap();
    let position = format!("\"position\":\"{}\"", verified["head"].as_str().unwrap());
    fs::write(&file, signed.replace(&position, "\"position\":\"1\"")).unwrap();
    let edited = tool("verify", &data, &[]);
    assert_eq!(edited.status.code(), Some(1));
    assert!(
        said(&edited).contains("checkpoints.jsonl at byte"),
        "{}",
        said(&edited)
    );
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_behind_an_auditors_copy() {
    let root = tempfile::tempdir().unwrap();
    let data = signed_log(root.path()).await;
    let (backup, fresh) = (root.path().join("backup"), root.path().join("fresh"));
    json("backup", &data, &[text(&backup), "--with-keys"]);
    let first = lines(&data)[0]["position"].as_str().unwrap().to_owned();
    let restored = tool("restore", &fresh, &[text(&backup), "--to", &first]);
    assert!(restored.status.success(), "{}", told(&restored));
    assert!(
        said(&restored).contains("behind what was promised"),
        "{}",
        said(&restored)
    );
    assert_eq!(json("verify", &fresh, &[])["checkpoints"]["agree"], 1);
    let copy = data.join("checkpoints.jsonl");
    let audited = tool("verify", &fresh, &["--checkpoint", text(&copy)]);
    assert_eq!(audited.status.code(), Some(1));
    assert!(
        said(&audited).contains("events are missing at its end"),
        "{}",
        said(&audited)
    );
    // It goes on with its keys, its projections rebuilt, and signs another history.
    let mut server = ServerProcess::start(&fresh, &[]);
    register(&server, 3).await;
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
    json("verify", &fresh, &[]);
    let audited = tool("verify", &fresh, &["--checkpoint", text(&copy)]);
    assert_eq!(audited.status.code(), Some(1), "{}", said(&audited));
}

#[tokio::test]
async fn a_restored_server_has_its_keys_and_a_wrong_key_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = signed_log(root.path()).await;
    let (backup, keys) = (root.path().join("backup"), root.path().join("payload.keys"));
    json(
        "backup",
        &data,
        &[text(&backup), "--with-keys", "--payload-keys", text(&keys)],
    );
    let wrong = root.path().join("wrong");
    let refused = tool(
        "restore",
        &wrong,
        &[text(&backup), "--key", &"ab".repeat(32)],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        told(&refused).contains("not the expected one"),
        "{}",
        told(&refused)
    );
    assert!(!wrong.exists(), "nothing is made before the key is checked");
    let key = lines(&data)[0]["key"].as_str().unwrap().to_owned();
    let fresh = root.path().join("fresh");
    let restored = json(
        "restore",
        &fresh,
        &[text(&backup), "--key", &key, "--payload-keys", text(&keys)],
    );
    assert_eq!(restored["signed"], true);
    assert_eq!(restored["payloads_lost"], 0);
    assert_eq!(
        json("verify", &fresh, &[])["checkpoints"]["expected_keys"][0],
        key.as_str()
    );
}
