//! The adapter over the JSON-RPC interface of Bitcoin Core and its kin, and over its REST interface
//! for whole blocks.
//!
//! `bitcoincore-rpc` blocks, so every call runs on a blocking thread. Its typed methods follow old
//! versions of the node; the calls here decode only the fields that are used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::consensus::encode::{deserialize, deserialize_hex};
use bitcoin::{Block, Transaction};
use bitcoincore_rpc::jsonrpc::{self, simple_http};
use bitcoincore_rpc::{Client, RpcApi as _};
use bytes::Bytes;
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::{
    NODE_BODIES_PER_CALL_MAX, NODE_CALL_MAX, NODE_HASHES_PER_CALL_MAX, NODE_SCAN_MAX,
};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::NodeAuth;
use super::rpc::{
    MempoolSnapshot, NodeInfo, NodeRpc, NodeSettings, Publication, RawBlock, RpcError,
};
use super::scanner::Header;

use rest::Rest;

mod answers;
mod batch;
mod history;
mod rest;

/// RPC error codes, see `src/rpc/protocol.h` of Bitcoin Core.
const NOT_AVAILABLE: i32 = -1;
const NOT_FOUND: i32 = -5;
const OUT_OF_RANGE: i32 = -8;
const WARMING_UP: i32 = -28;

/// A node behind its RPC interface. Cheap to clone; calls of one instance come one after another.
#[derive(Clone)]
pub struct CoreRpc {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    auth: NodeAuth,
    /// The connection; dropped when the login fails, so that the cookie is read again.
    client: Mutex<Option<Arc<Client>>>,
    rest: Rest,
    /// How long one call may take.
    patience: Duration,
}

impl CoreRpc {
    /// Prepares the connection; nothing is sent yet.
    #[must_use]
    pub fn new(url: String, auth: NodeAuth) -> Self {
        Self::with_patience(url, auth, NODE_CALL_MAX)
    }

    /// The same for calls that may take longer: scans of filters and of all unspent outputs.
    #[must_use]
    pub fn for_history(url: String, auth: NodeAuth) -> Self {
        Self::with_patience(url, auth, NODE_SCAN_MAX)
    }

    fn with_patience(url: String, auth: NodeAuth, patience: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                rest: Rest::new(&url),
                url,
                auth,
                client: Mutex::new(None),
                patience,
            }),
        }
    }

    pub(crate) async fn call<T>(
        &self,
        method: &'static str,
        parameters: Vec<Value>,
    ) -> Result<T, RpcError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.blocking(move |inner| inner.call(method, &parameters))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Inner) -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || ask(&inner))
            .await
            .unwrap_or_else(|stopped| {
                Err(RpcError::Unreachable {
                    url: self.inner.url.clone(),
                    reason: stopped.to_string(),
                })
            })
    }
}

impl Inner {
    fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &[Value],
    ) -> Result<T, RpcError> {
        self.with_client(method, |client| client.call(method, parameters))
    }

    /// Asks once, and once more after a failed login: the cookie changes when the node restarts.
    fn with_client<T>(
        &self,
        method: &'static str,
        ask: impl Fn(&Client) -> Result<T, bitcoincore_rpc::Error>,
    ) -> Result<T, RpcError> {
        let attempt = || {
            let client = self.client()?;
            ask(&client).map_err(|error| self.explain(method, error))
        };
        let answer = attempt();
        if let Err(RpcError::Unauthorized { .. }) = answer {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return attempt();
        }
        answer
    }

    fn client(&self) -> Result<Arc<Client>, RpcError> {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = slot.as_ref() {
            return Ok(Arc::clone(client));
        }
        let (user, password) = self.credentials()?;
        let transport = simple_http::Builder::new()
            .timeout(self.patience)
            .url(&self.url)
            .map_err(|error| self.unreachable(&error))?
            .auth(user, Some(password))
            .build();
        let client = Client::from_jsonrpc(jsonrpc::Client::with_transport(transport));
        Ok(Arc::clone(slot.insert(Arc::new(client))))
    }

    fn credentials(&self) -> Result<(String, String), RpcError> {
        let unauthorized = |reason: String| RpcError::Unauthorized {
            url: self.url.clone(),
            reason,
        };
        match &self.auth {
            NodeAuth::Password { user, password } => {
                Ok((user.clone(), password.expose_secret().to_owned()))
            }
            NodeAuth::Cookie(path) => {
                let cookie = std::fs::read_to_string(path).map_err(|error| {
                    unauthorized(format!("cookie file {}: {error}", path.display()))
                })?;
                let (user, password) = cookie.trim_end().split_once(':').ok_or_else(|| {
                    unauthorized(format!("cookie file {} has no colon", path.display()))
                })?;
                Ok((user.to_owned(), password.to_owned()))
            }
        }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> RpcError {
        RpcError::Unreachable {
            url: self.url.clone(),
            reason: error.to_string(),
        }
    }

    fn explain(&self, method: &'static str, error: bitcoincore_rpc::Error) -> RpcError {
        let error = match error {
            bitcoincore_rpc::Error::JsonRpc(error) => error,
            other => {
                return RpcError::Unexpected {
                    method,
                    reason: other.to_string(),
                };
            }
        };
        match error {
            jsonrpc::Error::Rpc(refusal) => refused(method, refusal),
            jsonrpc::Error::Transport(transport) => match transport.downcast_ref() {
                Some(simple_http::Error::HttpErrorCode(401 | 403)) => RpcError::Unauthorized {
                    url: self.url.clone(),
                    reason: "wrong user, password or cookie".to_owned(),
                },
                _ => self.unreachable(transport.as_ref()),
            },
            other => RpcError::Unexpected {
                method,
                reason: other.to_string(),
            },
        }
    }

    fn transactions(&self, txids: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError> {
        const METHOD: &str = "getrawtransaction";
        let parameters: Vec<Value> = txids.iter().map(|txid| json!([txid, false])).collect();
        let answers = self.batch::<String>(METHOD, &parameters)?.into_iter();
        answers
            .map(|answer| match not_found(answer, NOT_FOUND)? {
                Some(hex) => decode(METHOD, &hex).map(Some),
                None => Ok(None),
            })
            .collect()
    }

    fn block_hashes(&self, height: u32, count: u32) -> Result<Vec<BlockHash>, RpcError> {
        let heights = (height..).take(count as usize);
        let parameters: Vec<Value> = heights.map(|height| json!([height])).collect();
        let answers = self.batch("getblockhash", &parameters)?.into_iter();
        answers
            .map_while(|answer| not_found(answer, OUT_OF_RANGE).transpose())
            .collect()
    }

    /// A block over JSON-RPC.
    fn block_bytes(&self, hash: BlockHash) -> Result<Bytes, RpcError> {
        const METHOD: &str = "getblock";
        let hex: String = match self.call(METHOD, &[json!(hash), json!(0)]) {
            Err(RpcError::Refused {
                code: NOT_FOUND | NOT_AVAILABLE,
                message: reason,
                ..
            }) => return Err(RpcError::NoBlock { hash, reason }),
            answer => answer?,
        };
        let bytes = hex::decode(hex).map_err(|error| RpcError::Unexpected {
            method: METHOD,
            reason: error.to_string(),
        })?;
        Ok(bytes.into())
    }
}

fn refused(method: &'static str, refusal: jsonrpc::error::RpcError) -> RpcError {
    let message = refusal.message;
    match refusal.code {
        WARMING_UP => RpcError::WarmingUp { message },
        code => RpcError::Refused {
            method,
            code,
            message,
        },
    }
}

fn decode<T: bitcoin::consensus::Decodable>(
    method: &'static str,
    hex: &str,
) -> Result<T, RpcError> {
    deserialize_hex(hex).map_err(|error| RpcError::Unexpected {
        method,
        reason: error.to_string(),
    })
}

/// Turns the refusal with `code`, by which the node says that there is no such thing, into nothing.
fn not_found<T>(answer: Result<T, RpcError>, code: i32) -> Result<Option<T>, RpcError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(RpcError::Refused { code: given, .. }) if given == code => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl NodeRpc for CoreRpc {
    async fn info(&self) -> Result<NodeInfo, RpcError> {
        let chain: answers::BlockchainInfo = self.call("getblockchaininfo", vec![]).await?;
        let network: answers::NetworkInfo = self.call("getnetworkinfo", vec![]).await?;
        let uptime_secs = self.call("uptime", vec![]).await?;
        Ok(NodeInfo {
            network: chain.chain,
            version: network.version,
            subversion: network.subversion,
            blocks: chain.blocks,
            headers: chain.headers,
            initial_download: chain.initialblockdownload,
            uptime_secs,
        })
    }

    async fn publications(&self) -> Result<Vec<Publication>, RpcError> {
        let found: Vec<answers::ZmqNotification> = self.call("getzmqnotifications", vec![]).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn settings(&self) -> Result<NodeSettings, RpcError> {
        let pruning: answers::Pruning = self.call("getblockchaininfo", vec![]).await?;
        let indexes: answers::Indexes = self.call("getindexinfo", vec![]).await?;
        // Every node knows this block, and a route that is there says so even when it was pruned.
        let genesis = self.call("getblockhash", vec![json!(0)]).await?;
        let rest = &self.inner.rest;
        Ok(NodeSettings {
            pruned_below: pruning
                .pruned
                .then_some(pruning.pruneheight.unwrap_or_default()),
            filters_to: indexes.filters.map(|index| index.best_block_height),
            rest: rest.serves_blocks(genesis).await?,
            spent_outputs: rest.serves_spent_outputs(genesis).await?,
        })
    }

    async fn best_block(&self) -> Result<BlockHash, RpcError> {
        self.call("getbestblockhash", vec![]).await
    }

    async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, RpcError> {
        let answer = self.call("getblockhash", vec![json!(height)]).await;
        not_found(answer, OUT_OF_RANGE)
    }

    async fn is_in_best_chain(&self, hash: BlockHash) -> Result<bool, RpcError> {
        let answer = self.call("getblockheader", vec![json!(hash)]).await;
        let header: Option<answers::BlockHeader> = not_found(answer, NOT_FOUND)?;
        Ok(header.is_some_and(|header| header.confirmations >= 0))
    }

    async fn block_hashes(&self, height: u32, count: u32) -> Result<Vec<BlockHash>, RpcError> {
        let count = count.min(NODE_HASHES_PER_CALL_MAX);
        self.blocking(move |inner| inner.block_hashes(height, count))
            .await
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, RpcError> {
        self.blocking(move |inner| {
            let bytes = inner.block_bytes(hash)?;
            deserialize(&bytes).map_err(|error| RpcError::Unexpected {
                method: "getblock",
                reason: error.to_string(),
            })
        })
        .await
    }

    async fn raw_block(&self, hash: BlockHash) -> Result<RawBlock, RpcError> {
        let rest = &self.inner.rest;
        let (block, spent) = tokio::join!(rest.block(hash), rest.spent_outputs(hash));
        let bytes = match block? {
            Some(bytes) => bytes,
            None => self.blocking(move |inner| inner.block_bytes(hash)).await?,
        };
        let spent = spent?;
        match Header::of(&bytes) {
            Ok(header) if header.hash == hash => Ok(RawBlock { hash, bytes, spent }),
            _ => Err(RpcError::Unexpected {
                method: "getblock",
                reason: format!("it is not the block {hash}"),
            }),
        }
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, RpcError> {
        let parameters = vec![json!(false), json!(true)];
        let found: answers::RawMempool = self.call("getrawmempool", parameters).await?;
        Ok(MempoolSnapshot {
            txids: found.txids,
            sequence: found.mempool_sequence,
        })
    }

    async fn mempool_size(&self) -> Result<usize, RpcError> {
        let found: answers::MempoolInfo = self.call("getmempoolinfo", vec![]).await?;
        Ok(found.size)
    }

    async fn transactions(&self, txids: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError> {
        let mut found = Vec::with_capacity(txids.len());
        for part in txids.chunks(NODE_BODIES_PER_CALL_MAX) {
            let part = part.to_vec();
            found.extend(
                self.blocking(move |inner| inner.transactions(&part))
                    .await?,
            );
        }
        Ok(found)
    }

    async fn mempool_ancestors(&self, txid: Txid) -> Result<Vec<Txid>, RpcError> {
        let answer = self.call("getmempoolancestors", vec![json!(txid)]).await;
        Ok(not_found(answer, NOT_FOUND)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
