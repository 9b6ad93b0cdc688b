//! The methods of the Electrum protocol that harnesses and simple clients use.

use std::sync::Arc;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::constants::genesis_block;
use bitcoin::{BlockHash, Txid};
use satpost_api::esplora::ChainQuery;
use satpost_api::esplora::ports::QueryError;
use satpost_domain::network::Network;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::bitcoind::convert;

/// The protocol that is spoken.
const PROTOCOL: &str = "1.4";
/// How many requests one line may hold.
const BATCH_MAX: usize = 100;
/// Error codes of JSON-RPC 2.0, and those of Electrum servers.
const PARSE_ERROR: i32 = -32_700;
const METHOD_NOT_FOUND: i32 = -32_601;
const BAD_REQUEST: i32 = 1;
const DAEMON_ERROR: i32 = 2;

/// One connection.
pub(super) struct Electrum {
    chain: Arc<dyn ChainQuery>,
    network: Network,
    /// The tip that was told last, once the client wants to be told.
    told: Option<BlockHash>,
    subscribed: bool,
}

/// A code and a message.
type Refusal = (i32, String);

fn bad(what: &str) -> Refusal {
    (BAD_REQUEST, what.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of `map_err`")]
fn daemon(error: QueryError) -> Refusal {
    (DAEMON_ERROR, format!("daemon error: {error}"))
}

impl Electrum {
    pub(super) fn new(chain: Arc<dyn ChainQuery>, network: Network) -> Self {
        Self {
            chain,
            network,
            told: None,
            subscribed: false,
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.chain.changes()
    }

    /// The push for a tip that was not told yet.
    pub(super) async fn new_tip(&mut self) -> Option<Value> {
        if !self.subscribed {
            return None;
        }
        let before = self.told;
        let tip = self.tip().await.ok()?;
        (self.told != before).then(|| {
            json!({ "jsonrpc": "2.0", "method": "blockchain.headers.subscribe", "params": [tip] })
        })
    }

    /// The answer to a line: one request, or several.
    pub(super) async fn answer(&mut self, line: &[u8]) -> Option<Value> {
        match serde_json::from_slice::<Value>(line) {
            Ok(Value::Array(requests)) if requests.len() <= BATCH_MAX => {
                let mut answers = Vec::with_capacity(requests.len());
                for request in &requests {
                    answers.push(self.answer_one(request).await);
                }
                Some(Value::Array(answers))
            }
            Ok(request @ Value::Object(_)) => Some(self.answer_one(&request).await),
            Ok(_) | Err(_) => {
                let error = json!({ "code": PARSE_ERROR, "message": "a line is a request" });
                Some(json!({ "jsonrpc": "2.0", "id": null, "error": error }))
            }
        }
    }

    async fn answer_one(&mut self, request: &Value) -> Value {
        let id = &request["id"];
        let none = Vec::new();
        let parameters = request["params"].as_array().unwrap_or(&none);
        let method = request["method"].as_str().unwrap_or_default();
        match self.call(method, parameters).await {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, message)) => {
                let error = json!({ "code": code, "message": message });
                json!({ "jsonrpc": "2.0", "id": id, "error": error })
            }
        }
    }

    async fn call(&mut self, method: &str, parameters: &[Value]) -> Result<Value, Refusal> {
        match method {
            "server.version" => Ok(json!([software(), PROTOCOL])),
            "server.ping" => Ok(Value::Null),
            "server.banner" => Ok(json!("Satpost")),
            "server.features" => Ok(self.features()),
            "blockchain.headers.subscribe" => {
                self.subscribed = true;
                self.tip().await
            }
            "blockchain.block.header" => self.header(parameters).await,
            "blockchain.transaction.get" => self.transaction(parameters).await,
            "blockchain.transaction.broadcast" => self.broadcast(parameters).await,
            _ => Err((METHOD_NOT_FOUND, format!("unknown method {method:?}"))),
        }
    }

    fn features(&self) -> Value {
        let genesis = genesis_block(convert::network(self.network)).block_hash();
        json!({
            "genesis_hash": genesis.to_string(),
            "hash_function": "sha256",
            "hosts": {},
            "protocol_max": PROTOCOL,
            "protocol_min": PROTOCOL,
            "pruning": null,
            "server_version": software(),
        })
    }

    async fn tip(&mut self) -> Result<Value, Refusal> {
        let tip = self.chain.tip().await.map_err(daemon)?;
        let hex = self.header_of(tip.hash).await?;
        self.told = Some(tip.hash);
        Ok(json!({ "hex": hex, "height": tip.height }))
    }

    async fn header(&self, parameters: &[Value]) -> Result<Value, Refusal> {
        let height = parameters.first().and_then(Value::as_u64);
        let height = height.and_then(|height| u32::try_from(height).ok());
        let height = height.ok_or_else(|| bad("a height is a number"))?;
        let hash = self.chain.hash_at(height).await.map_err(daemon)?;
        let hash = hash.ok_or_else(|| bad("there is no block at that height"))?;
        Ok(json!(self.header_of(hash).await?))
    }

    async fn header_of(&self, hash: BlockHash) -> Result<String, Refusal> {
        let block = self.chain.block(hash).await.map_err(daemon)?;
        let block = block.ok_or_else(|| bad("there is no such block"))?;
        Ok(serialize_hex(&block.header))
    }

    async fn transaction(&self, parameters: &[Value]) -> Result<Value, Refusal> {
        let txid = parameters.first().and_then(Value::as_str);
        let txid: Option<Txid> = txid.and_then(|text| text.parse().ok());
        let txid = txid.ok_or_else(|| bad("a txid is 64 hexadecimal characters"))?;
        if parameters.get(1).and_then(Value::as_bool) == Some(true) {
            return Err(bad("verbose transactions are not supported"));
        }
        let found = self.chain.transaction(txid).await.map_err(daemon)?;
        let message = "daemon error: no such mempool or blockchain transaction";
        let found = found.ok_or_else(|| (DAEMON_ERROR, message.to_owned()))?;
        Ok(json!(serialize_hex(found.transaction.as_ref())))
    }

    async fn broadcast(&self, parameters: &[Value]) -> Result<Value, Refusal> {
        let hex = parameters.first().and_then(Value::as_str);
        let hex = hex.ok_or_else(|| bad("a transaction is hexadecimal text"))?;
        let txid = self.chain.broadcast(hex.to_owned()).await.map_err(daemon)?;
        Ok(json!(txid.to_string()))
    }
}

fn software() -> String {
    format!("satpost-electrs {}", env!("CARGO_PKG_VERSION"))
}
