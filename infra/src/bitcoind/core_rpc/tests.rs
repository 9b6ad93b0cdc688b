//! Against a server of one answer; the real node is in the regtest tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use super::*;

/// Answers the requests of consecutive connections with `answers` (status and body), and hands
/// over the `Authorization` headers it was sent.
fn node(answers: Vec<(u16, Value)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut logins = Vec::new();
        for (status, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some((name, value)) = line.trim().split_once(": ") {
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.parse().unwrap(),
                        "authorization" => logins.push(value.to_owned()),
                        _ => {}
                    }
                }
                line.clear();
            }
            let mut request = vec![0; length];
            reader.read_exact(&mut request).unwrap();
            let request: Value = serde_json::from_slice(&request).unwrap();
            let mut body = body;
            body["id"] = request["id"].clone();
            let body = body.to_string();
            write!(
                reader.into_inner(),
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
        logins
    });
    (url, thread)
}

fn error(code: i32) -> Value {
    json!({"result": null, "error": {"code": code, "message": "no"}})
}

fn rpc(url: String) -> CoreRpc {
    let password = "secret".to_owned().into();
    let user = "satpost".to_owned();
    CoreRpc::new(url, NodeAuth::Password { user, password })
}

#[tokio::test]
async fn reads_the_cookie_again_when_the_login_fails() {
    let dir = tempfile::tempdir().unwrap();
    let cookie = dir.path().join(".cookie");
    let hash = BlockHash::new([7; 32]);
    let answer = json!({"result": hash, "error": null});
    let (url, logins) = node(vec![(200, answer.clone()), (401, json!({})), (200, answer)]);
    let rpc = CoreRpc::new(url, NodeAuth::Cookie(cookie.clone()));

    std::fs::write(&cookie, "__cookie__:one\n").unwrap();
    assert_eq!(rpc.best_block().await, Ok(hash));
    std::fs::write(&cookie, "__cookie__:two\n").unwrap();
    assert_eq!(rpc.best_block().await, Ok(hash));

    let logins = logins.join().unwrap();
    assert_eq!(logins[0], logins[1]);
    assert_ne!(logins[1], logins[2]);
}

#[tokio::test]
async fn says_that_the_node_is_starting() {
    let (url, node) = node(vec![(500, error(WARMING_UP))]);
    let answer = rpc(url).best_block().await;
    let message = "no".to_owned();
    assert_eq!(answer, Err(RpcError::WarmingUp { message }));
    node.join().unwrap();
}

#[tokio::test]
async fn finds_no_block_above_the_tip() {
    let (url, node) = node(vec![(500, error(OUT_OF_RANGE))]);
    assert_eq!(rpc(url).block_hash(9).await, Ok(None));
    node.join().unwrap();
}

#[tokio::test]
async fn names_the_missing_cookie_file() {
    let auth = NodeAuth::Cookie("/nonexistent/.cookie".into());
    let answer = CoreRpc::new("http://127.0.0.1:1".to_owned(), auth)
        .best_block()
        .await;
    let reason = answer.unwrap_err().to_string();
    assert!(reason.contains("/nonexistent/.cookie"), "{reason}");
}

#[tokio::test]
async fn says_where_no_node_answers() {
    let answer = rpc("http://127.0.0.1:1".to_owned()).best_block().await;
    assert!(
        matches!(answer, Err(RpcError::Unreachable { .. })),
        "{answer:?}"
    );
}
