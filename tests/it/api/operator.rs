//! What the operator's listener tells.

use satpost_api_types::service::ProjectionsResponse;
use satpost_tests::http_server::HttpServer;

use super::wallet::Wallet;

async fn text(server: &HttpServer, path: &str) -> (u16, String) {
    let url = format!("{}{path}", server.operator_base());
    let response = server.http.get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn counts_requests_by_operation_and_code_and_names_nobody() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    let stranger = Wallet::new(2);
    stranger.query("/v1/queue").send(&server).await;
    let (status, metrics) = text(&server, "/metrics").await;
    assert_eq!(status, 200);
    let registered =
        r#"satpost_http_requests_total{code="ok",operation="register_client",status="201"} 1"#;
    assert!(metrics.contains(registered), "{metrics}");
    let refused = r#"satpost_http_requests_total{code="not-registered",operation="get_queue",status="403"} 1"#;
    assert!(metrics.contains(refused), "{metrics}");
    assert!(
        metrics.contains("satpost_http_request_duration_seconds_bucket"),
        "{metrics}"
    );
    for key in [&wallet.identity, &wallet.messaging, &stranger.messaging] {
        assert!(!metrics.contains(&key.hex()), "{metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn shows_the_projections() {
    let server = HttpServer::start().await;
    Wallet::registered(1, &server).await;
    let (status, body) = text(&server, "/operator/projections").await;
    assert_eq!(status, 200);
    let shown: ProjectionsResponse = serde_json::from_str(&body).unwrap();
    let names: Vec<_> = shown
        .projections
        .iter()
        .map(|state| state.name.as_str())
        .collect();
    assert!(names.contains(&"client_directory"), "{names:?}");
    assert!(
        shown
            .projections
            .iter()
            .all(|state| state.digest.len() == 64)
    );
    server.stop().await;
}

#[tokio::test]
async fn serves_no_client() {
    let server = HttpServer::start().await;
    assert_eq!(text(&server, "/health/live").await.0, 204);
    assert_eq!(text(&server, "/health/ready").await.0, 200);
    assert_eq!(text(&server, "/v1/info").await.0, 404);
    server.stop().await;
}
