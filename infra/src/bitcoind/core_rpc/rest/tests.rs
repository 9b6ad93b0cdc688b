//! Against a server that answers by path; the real node is in the regtest tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use satpost_domain::ids::BlockHash;

use super::*;

const HASH: BlockHash = BlockHash::new([0xab; 32]);

/// Answers every request with the head and the body that `answer` has for its path, as long as the
/// test runs.
fn node(answer: impl Fn(&str) -> (String, Vec<u8>) + Send + Sync + 'static) -> Rest {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream.unwrap(), answer.as_ref()));
        }
    });
    Rest::new(&url)
}

fn serve(stream: TcpStream, answer: &(impl Fn(&str) -> (String, Vec<u8>) + ?Sized)) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut path = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap().to_owned();
        }
        if line == "\r\n" {
            let (head, body) = answer(&path);
            let stream = reader.get_mut();
            // The client may have read enough and gone.
            if write!(stream, "HTTP/1.1 {head}\r\n\r\n").is_err()
                || stream.write_all(&body).is_err()
            {
                return;
            }
        }
        line.clear();
    }
}

fn whole(status: &str, body: &[u8]) -> (String, Vec<u8>) {
    (
        format!("{status}\r\nContent-Length: {}", body.len()),
        body.to_vec(),
    )
}

#[tokio::test]
async fn asks_for_the_block_and_for_what_it_spends() {
    let rest = node(|path| whole("200 OK", path.as_bytes()));
    let block = rest.block(HASH).await.unwrap().unwrap();
    assert_eq!(block, format!("/rest/block/{HASH}.bin"));
    let spent = rest.spent_outputs(HASH).await.unwrap().unwrap();
    assert_eq!(spent, format!("/rest/spenttxouts/{HASH}.bin"));
}

#[tokio::test]
async fn knows_a_node_that_serves_no_such_thing_from_one_that_lacks_the_block() {
    let silent = node(|_| whole("404 Not Found", b""));
    assert_eq!(silent.block(HASH).await, Ok(None));
    assert_eq!(silent.spent_outputs(HASH).await, Ok(None));

    let lacking = node(|_| whole("404 Not Found", b"abab not available (pruned data)\r\n"));
    let reason = "abab not available (pruned data)".to_owned();
    assert_eq!(
        lacking.block(HASH).await,
        Err(RpcError::NoBlock { hash: HASH, reason })
    );
    assert_eq!(lacking.spent_outputs(HASH).await, Ok(None));
}

#[tokio::test]
async fn says_that_the_node_is_starting() {
    let words = b"Service temporarily unavailable: Loading block index...";
    let rest = node(|_| whole("503 Service Unavailable", words));
    assert!(matches!(
        rest.block(HASH).await,
        Err(RpcError::WarmingUp { .. })
    ));
}

#[tokio::test]
async fn reads_no_more_than_a_block_can_have() {
    let announced = node(|_| {
        let head = format!("200 OK\r\nContent-Length: {}", NODE_BLOCK_BYTES_MAX + 1);
        (head, vec![0; 100])
    });
    assert!(matches!(
        announced.block(HASH).await,
        Err(RpcError::Unexpected { .. })
    ));

    let unannounced = node(|_| {
        let head = "200 OK\r\nConnection: close".to_owned();
        (head, vec![0; NODE_BLOCK_BYTES_MAX + 1])
    });
    assert!(matches!(
        unannounced.block(HASH).await,
        Err(RpcError::Unexpected { .. })
    ));
}

#[tokio::test]
async fn says_where_no_node_answers() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let rest = Rest::new(&format!("http://127.0.0.1:{port}"));
    assert!(matches!(
        rest.block(HASH).await,
        Err(RpcError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn leaves_an_address_that_is_none_to_the_rpc_interface() {
    assert_eq!(Rest::new("not a url").block(HASH).await, Ok(None));
}
