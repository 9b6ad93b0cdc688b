//! Streams that end, are cut, or are none, from a server that does what a test says.

use std::sync::{Arc, Mutex};

use crate::http::{CallError, HttpClient, HttpOptions};
use crate::keys::IdentitySecret;
use crate::seed::Seed;
use crate::testing::listener::{Request, Response, listen};

const SEEN: &str = "id: 7\nevent: seen\ndata: {\"txid\":\"aa\",\"address\":\"bcrt1q\",\"received_sat\":5,\"spent_sat\":0,\"position\":\"7\",\"at\":9,\"state\":\"seen\"}\n\n";

/// A client of a server that answers every request with this stream; and the requests.
async fn stream(body: &str) -> (HttpClient, Arc<Mutex<Vec<Request>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (seen, body) = (Arc::clone(&requests), body.as_bytes().to_vec());
    let url = listen(move |request| {
        seen.lock().unwrap().push(request);
        Some(Response {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            body: body.clone(),
        })
    })
    .await;
    let base = crate::base_url::parse(&url).unwrap();
    let http = HttpClient::new(base, HttpOptions::default()).unwrap();
    (http, requests)
}

fn identity() -> IdentitySecret {
    IdentitySecret::derive(&Seed::from_entropy(&[3; 16]).unwrap())
}

#[tokio::test]
async fn tells_changes_until_the_server_says_goodbye_and_skips_what_it_does_not_know() {
    let text = format!(
        "retry: 2000\n\n:\n\nevent: weather\ndata: rain\n\n{SEEN}event: bye\ndata: {{}}\n\n{SEEN}"
    );
    let (http, requests) = stream(&text).await;
    let mut listening = http.listen(&identity(), Some("5")).await.unwrap();
    let change = listening.next().await.unwrap().unwrap();
    assert_eq!(
        (change.txid.as_str(), change.step.position.as_str()),
        ("aa", "7")
    );
    assert_eq!(listening.next().await.unwrap(), None);

    let requests = requests.lock().unwrap();
    assert_eq!(requests[0].path, "/v1/events");
    assert_eq!(requests[0].header("last-event-id"), Some("5"));
    assert!(requests[0].header("signature").is_some());
}

#[tokio::test]
async fn an_event_that_was_cut_off_is_not_told() {
    for length in 0..SEEN.len() {
        let (http, requests) = stream(&SEEN[..length]).await;
        let mut listening = http.listen(&identity(), None).await.unwrap();
        assert_eq!(listening.next().await.unwrap(), None, "{length} bytes");
        assert_eq!(requests.lock().unwrap()[0].header("last-event-id"), None);
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_error() {
    let endless = format!("data: {}", "x".repeat(100_000));
    for text in ["event: seen\ndata: nonsense\n\n", endless.as_str()] {
        let (http, _) = stream(text).await;
        let mut listening = http.listen(&identity(), None).await.unwrap();
        let error = listening.next().await.unwrap_err();
        assert!(
            matches!(error, CallError::UnexpectedAnswer { .. }),
            "{error}"
        );
    }
}
