//! Streams of messages that end, are cut, or are none, from a server that does what a test says.

use crate::http::{CallError, HttpClient, HttpOptions};
use crate::keys::MessagingSecret;
use crate::seed::Seed;
use crate::testing::listener::{Response, listen};

use super::*;

const HEAD: &str = "{\"seq\":7,\"chain\":\"aa\",\"signature\":\"bb\"}";

fn message() -> String {
    format!(
        "id: 7\nevent: message\ndata: {{\"message\":{{\"seq\":7,\"id\":\"ab\",\"chain\":\"aa\",\"digest\":\"dd\",\"accepted_at\":1,\"expires_at\":2,\"body\":\"BwcH\"}},\"head\":{HEAD}}}\n\n"
    )
}

/// The stream that a server answers with `body`.
async fn stream(body: &str) -> MessageStream {
    let body = body.as_bytes().to_vec();
    let url = listen(move |request| {
        assert_eq!(request.path, "/v1/messages/stream");
        assert!(request.header("signature").is_some());
        Some(Response {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            body: body.clone(),
        })
    })
    .await;
    let base = crate::base_url::parse(&url).unwrap();
    let http = HttpClient::new(base, HttpOptions::default()).unwrap();
    let messaging = MessagingSecret::derive(&Seed::from_entropy(&[3; 16]).unwrap(), 0);
    http.stream_messages(&messaging).await.unwrap()
}

#[tokio::test]
async fn tells_deliveries_and_the_end_of_the_line_and_skips_what_it_does_not_know() {
    let text = format!(
        "retry: 2000\n\n:\n\nevent: weather\ndata: rain\n\n{}event: empty\ndata: {{\"head\":{HEAD}}}\n\nevent: closing\ndata: {{\"reason\":\"stopping\"}}\n\n{}",
        message(),
        message()
    );
    let mut stream = stream(&text).await;
    let Some(MessageEvent::Delivery(delivery)) = stream.next().await.unwrap() else {
        panic!("no delivery");
    };
    assert_eq!(delivery.message.body.as_deref(), Some(&[7, 7, 7][..]));
    assert_eq!(delivery.head.seq, 7);
    let empty = stream.next().await.unwrap();
    assert!(matches!(empty, Some(MessageEvent::Empty(head)) if head.seq == 7));
    for _ in 0..2 {
        assert_eq!(
            stream.next().await.unwrap(),
            None,
            "the server said goodbye"
        );
    }
}

#[tokio::test]
async fn tells_that_another_reader_took_over_and_nothing_after_it() {
    let text = format!("event: superseded\ndata: {{}}\n\n{}", message());
    let mut stream = stream(&text).await;
    assert_eq!(stream.next().await.unwrap(), Some(MessageEvent::Superseded));
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_delivery_that_was_cut_off_is_not_told() {
    let whole = message();
    for length in (0..whole.len()).step_by(7) {
        let mut stream = stream(&whole[..length]).await;
        assert_eq!(stream.next().await.unwrap(), None, "{length} bytes");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_error() {
    for text in [
        "event: message\ndata: nonsense\n\n",
        "event: empty\ndata: {}\n\n",
    ] {
        let error = stream(text).await.next().await.unwrap_err();
        let expected = matches!(error, CallError::UnexpectedAnswer { .. });
        assert!(expected, "{error}");
    }
}
