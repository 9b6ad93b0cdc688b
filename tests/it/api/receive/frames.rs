//! What cannot be understood: a problem, and a close code that says what was wrong.

use satpost_api_types::live::{CBOR_PROTOCOL, JSON_PROTOCOL, ServerFrame};
use satpost_domain::limits::SOCKET_MESSAGE_BYTES_MAX;
use satpost_tests::http_server::HttpServer;

use super::web_socket::{BINARY, Client, LAST, TEXT};
use super::{pair, until_open};
use crate::api::wallet::Wallet;

/// The code of the last problem, and the close code, after these parts of messages.
async fn fault(
    parts: &[(u8, Vec<u8>)],
    protocol: &str,
    wallet: &Wallet,
    server: &HttpServer,
) -> (String, Option<u16>) {
    let mut client = Client::open(wallet, protocol, server).await;
    for (kind, payload) in parts {
        client.send_raw(*kind, payload).await;
    }
    match client.rest().await {
        (Some(ServerFrame::Problem(problem)), code) => (problem.code, code),
        other => panic!("{other:?} after {parts:?}"),
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_the_socket_and_says_why() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let text = |text: &str| vec![(LAST | TEXT, text.as_bytes().to_vec())];
    let binary = |bytes: &[u8]| vec![(LAST | BINARY, bytes.to_vec())];
    let large = vec![b' '; SOCKET_MESSAGE_BYTES_MAX + 1];
    let half = vec![b' '; SOCKET_MESSAGE_BYTES_MAX / 2 + 1];
    let cases = [
        (JSON_PROTOCOL, text("what?"), "malformed", 1007),
        (JSON_PROTOCOL, text("{}"), "malformed", 1007),
        (JSON_PROTOCOL, text("[]"), "malformed", 1007),
        (
            JSON_PROTOCOL,
            text("{\"type\":\"send\"}"),
            "malformed",
            1007,
        ),
        (
            JSON_PROTOCOL,
            text("{\"type\":\"credit\",\"n\":-1}"),
            "malformed",
            1007,
        ),
        (
            JSON_PROTOCOL,
            text("{\"type\":\"credit\",\"n\":1,\"m\":1}"),
            "malformed",
            1007,
        ),
        (
            JSON_PROTOCOL,
            text("{\"type\":\"ack\",\"id\":\"\"}"),
            "malformed",
            1007,
        ),
        (
            JSON_PROTOCOL,
            vec![(LAST | TEXT, vec![0xff, 0xfe])],
            "malformed",
            1007,
        ),
        (
            JSON_PROTOCOL,
            binary(b"{\"type\":\"credit\",\"n\":1}"),
            "malformed",
            1003,
        ),
        (
            JSON_PROTOCOL,
            vec![(LAST | TEXT, large.clone())],
            "too-large",
            1009,
        ),
        (
            JSON_PROTOCOL,
            vec![(TEXT, half.clone()), (LAST, half)],
            "too-large",
            1009,
        ),
        // A reserved kind of frame, and a continuation of nothing.
        (
            JSON_PROTOCOL,
            vec![(LAST | 0x3, Vec::new())],
            "malformed",
            1002,
        ),
        (
            JSON_PROTOCOL,
            vec![(LAST, b"{}".to_vec())],
            "malformed",
            1002,
        ),
        (
            CBOR_PROTOCOL,
            text("{\"type\":\"credit\",\"n\":1}"),
            "malformed",
            1003,
        ),
        (CBOR_PROTOCOL, binary(b""), "malformed", 1007),
        (CBOR_PROTOCOL, binary(&[0xff]), "malformed", 1007),
        // A map that says it has more members than there are.
        (
            CBOR_PROTOCOL,
            binary(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255]),
            "malformed",
            1007,
        ),
        // An array of an array of an array, and so on.
        (CBOR_PROTOCOL, binary(&[0x81; 10_000]), "malformed", 1007),
        (
            CBOR_PROTOCOL,
            vec![(LAST | BINARY, large)],
            "too-large",
            1009,
        ),
    ];
    for (protocol, parts, code, close) in cases {
        let told = fault(&parts, protocol, &bob, &server).await;
        let (kind, payload) = &parts[0];
        let case = format!(
            "{protocol} {kind:#x} {:?}",
            &payload[..payload.len().min(40)]
        );
        assert_eq!(told, (code.to_owned(), Some(close)), "{case}");
    }
    until_open("socket", 0, &server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_frame_without_a_mask_is_no_frame_of_a_client() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
    client.send_bytes(&[LAST | TEXT, 2, b'{', b'}']).await;
    let (last, code) = client.rest().await;
    assert!(matches!(last, Some(ServerFrame::Problem(_))), "{last:?}");
    assert_eq!(code, Some(1002));
    server.stop().await;
}

#[tokio::test]
async fn a_close_is_answered_with_a_close() {
    let server = HttpServer::start().await;
    let (_, bob) = pair(&server).await;
    let mut client = Client::open(&bob, JSON_PROTOCOL, &server).await;
    client.send_raw(LAST | 0x8, &1000_u16.to_be_bytes()).await;
    let (last, code) = client.rest().await;
    assert!(matches!(last, Some(ServerFrame::Empty(_))), "{last:?}");
    assert_eq!(code, Some(1000));
    until_open("socket", 0, &server).await;
    server.stop().await;
}
