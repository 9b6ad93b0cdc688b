//! `satpostd explain` on a folder with a little history.

use serde_json::Value;

use super::sample::{Sample, client};
use super::{complaint, satpostd, told};

#[tokio::test(flavor = "multi_thread")]
async fn tells_everything_about_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut sample = Sample::write(folder.path()).await;
    sample.unwatch_dropped().await;
    drop(sample);
    let id = client().to_string();

    let text = told(&["explain", "--data-dir", data, &id]);
    for line in [
        "registered 2023-11-14T22:13:20Z (position 1)",
        "2 came: 1 acknowledged, 0 expired, 0 wiped, 1 waiting (0 of them set aside)",
        "addresses (1 watched, 1 watched before)",
        "erased since 2023-11-14T22:13:20Z",
        "transactions (1 on regtest)",
        "pays 21000 sat to bcrt1q",
        "what touched the 1 erased addresses cannot be told any more",
        "push targets (0)",
        "history (9 events)",
    ] {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }

    let json: Value =
        serde_json::from_str(&told(&["explain", "--json", "--data-dir", data, &id])).unwrap();
    assert_eq!(json["client"], id.as_str());
    assert_eq!(json["registered"]["position"], "1");
    assert_eq!(json["mailboxes"][0]["waiting"], 1);
    assert_eq!(json["addresses"][1]["address"], Value::Null);
    assert_eq!(json["transactions"][0]["state"], "in the mempool");
    let positions: Vec<u64> = json["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            line["moment"]["position"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(positions.is_sorted(), "{positions:?}");

    let short = told(&["explain", "--summary", "--data-dir", data, &id]);
    assert!(!short.contains("history"), "{short}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_a_client_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    drop(Sample::write(folder.path()).await);
    let unknown = satpost_tests::signed_request::RequestKey::new(77).hex();
    let output = satpostd(&["explain", "--data-dir", data, &unknown]);
    assert_eq!(output.status.code(), Some(67), "{}", complaint(&output));
    assert!(complaint(&output).contains("knows no client"));
    assert!(output.stdout.is_empty());
    let output = satpostd(&["explain", "--data-dir", data, "alice"]);
    assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
    assert!(complaint(&output).contains("no client id"));
}
