//! A node, the index of every script and the Esplora API on a port of its own.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Network as BitcoinNetwork;
use reqwest::StatusCode;
use satpost_api::esplora::{ChainQuery, EsploraConfig, EsploraState};
use satpost_api::metrics::HttpMetrics;
use satpost_domain::network::Network;
use satpost_infra::bitcoind::{CoreRpc, NodeAuth};
use satpost_infra::esplora::index::{Index, keep_in_step};
use satpost_infra::esplora::{AllScripts, EsploraNode};
use satpost_tests::node::RegtestNode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// A running Esplora API.
pub(super) struct Esplora {
    /// `http://127.0.0.1:PORT`.
    pub(super) base: String,
    http: reqwest::Client,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// An answer, as far as tests look at it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Opens the index. The threads of a server that has just stopped may still hold it for a moment.
async fn open_index(folder: &TempDir) -> Index {
    let opening = async {
        loop {
            match Index::open(folder.path(), BitcoinNetwork::Regtest) {
                Ok(index) => return index,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    let opened = tokio::time::timeout(PATIENCE, opening).await;
    opened.expect("nobody holds the index for long")
}

impl Esplora {
    /// Serves every script of `node` by an index in `folder`.
    pub(super) async fn start(node: &RegtestNode, folder: &TempDir) -> Self {
        Self::start_with(node, folder, |_| ()).await
    }

    /// The same with other settings.
    pub(super) async fn start_with(
        node: &RegtestNode,
        folder: &TempDir,
        change: impl FnOnce(&mut EsploraConfig),
    ) -> Self {
        let auth = NodeAuth::Cookie(node.rpc_cookie());
        let index = Arc::new(open_index(folder).await);
        let connections = Arc::new(EsploraNode::new(&node.rpc_url(), &auth));
        let rpc = Arc::new(CoreRpc::new(node.rpc_url(), auth));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_in_step(
            Arc::clone(&index),
            Arc::clone(&connections),
            rpc.clone(),
            Arc::new(Notify::new()),
            PAUSE,
            stop.clone(),
        ));
        let chain = AllScripts::new(
            Arc::clone(&index),
            connections,
            rpc,
            BitcoinNetwork::Regtest,
        );
        let mut config = EsploraConfig::new(Network::Regtest);
        config.workers = 1;
        change(&mut config);
        let esplora = Self::serve(Arc::new(chain), config, stop, tasks);
        esplora.until_at(node).await;
        esplora
    }

    /// Serves what `chain` tells. `tasks` keep it current.
    pub(super) fn serve(
        chain: Arc<dyn ChainQuery>,
        config: EsploraConfig,
        stop: CancellationToken,
        mut tasks: JoinSet<()>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let metrics = HttpMetrics::register(&prometheus::Registry::new()).unwrap();
        let state = Arc::new(EsploraState::new(config, chain, metrics));
        let stopped = stop.clone().cancelled_owned();
        tasks.spawn(async move {
            satpost_api::esplora::run(state, listener, stopped)
                .await
                .unwrap();
        });
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self {
            base,
            http,
            stop,
            tasks,
        }
    }

    /// Stops, and leaves the index.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Waits until blocks and mempool are those of the node.
    pub(super) async fn until_at(&self, node: &RegtestNode) {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            let tip = self.get("/blocks/tip/hash").await;
            if tip.status == StatusCode::OK && tip.text() == node.best_block().to_string() {
                let mut mempool: Vec<String> = self.list("/mempool/txids").await;
                mempool.sort_unstable();
                let mut expected: Vec<String> =
                    node.mempool().iter().map(ToString::to_string).collect();
                expected.sort_unstable();
                if mempool == expected {
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the index does not come to the node's tip and mempool");
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    pub(super) async fn get_with(&self, path: &str, header: (&str, &str)) -> Answer {
        let request = self.http.get(format!("{}{path}", self.base));
        self.send(request.header(header.0, header.1)).await
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base));
        self.send(request.body(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// The JSON of an answer that must be a success.
    pub(super) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The text of an answer that must be a success.
    pub(super) async fn text(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "text/plain", "{path}");
        answer.text()
    }

    /// The JSON of an answer that must be a success, letter by letter.
    pub(super) async fn text_of_json(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.text()
    }

    async fn list(&self, path: &str) -> Vec<String> {
        let answer = self.get(path).await;
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}
