//! The REST interface of the node, which hands out blocks as bytes, about six times faster than
//! JSON-RPC. It needs no login and stands at the same address; `rest=1` turns it on.

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, StatusCode, redirect};
use satpost_domain::ids::BlockHash;
use satpost_domain::limits::{NODE_BLOCK_BYTES_MAX, NODE_CALL_MAX, NODE_SPENT_BYTES_MAX};
use url::Url;

use super::super::rpc::RpcError;

/// The longest refusal that is read: the node says why in one sentence.
const REFUSAL_BYTES_MAX: usize = 1024;

/// What the node answers to a question for a resource.
enum Answer {
    /// The resource.
    Found(Bytes),
    /// It has no such block, or not all of it; its words.
    NotFound(String),
    /// It does not serve this kind of resource.
    NotServed,
}

/// The REST interface of one node, over connections that are kept.
pub(super) struct Rest {
    /// Nothing when the address cannot be used for it; JSON-RPC then says what is wrong with it.
    at: Option<(Client, Url)>,
}

impl Rest {
    /// At the address of the node's JSON-RPC interface.
    pub(super) fn new(rpc_url: &str) -> Self {
        let at = Url::parse(rpc_url).ok().zip(http_client());
        Self {
            at: at.map(|(url, client)| (client, url)),
        }
    }

    /// A block, or nothing when the node serves none over REST.
    pub(super) async fn block(&self, hash: BlockHash) -> Result<Option<Bytes>, RpcError> {
        match self.get("block", hash, NODE_BLOCK_BYTES_MAX).await? {
            Answer::Found(bytes) => Ok(Some(bytes)),
            Answer::NotServed => Ok(None),
            Answer::NotFound(reason) => Err(RpcError::NoBlock { hash, reason }),
        }
    }

    /// What the inputs of a block spend; nothing when the node is too old to tell (Bitcoin Core
    /// before 30) or does not know it of this block.
    pub(super) async fn spent_outputs(&self, hash: BlockHash) -> Result<Option<Bytes>, RpcError> {
        match self.get("spenttxouts", hash, NODE_SPENT_BYTES_MAX).await? {
            Answer::Found(bytes) => Ok(Some(bytes)),
            Answer::NotServed | Answer::NotFound(_) => Ok(None),
        }
    }

    /// Whether it serves blocks; `hash` is one that it knows.
    pub(super) async fn serves_blocks(&self, hash: BlockHash) -> Result<bool, RpcError> {
        let answer = self.get("block", hash, NODE_BLOCK_BYTES_MAX).await?;
        Ok(!matches!(answer, Answer::NotServed))
    }

    /// Whether it serves what blocks spend; `hash` is one that it knows.
    pub(super) async fn serves_spent_outputs(&self, hash: BlockHash) -> Result<bool, RpcError> {
        let answer = self.get("spenttxouts", hash, NODE_SPENT_BYTES_MAX).await?;
        Ok(!matches!(answer, Answer::NotServed))
    }

    async fn get(
        &self,
        resource: &'static str,
        hash: BlockHash,
        bytes_max: usize,
    ) -> Result<Answer, RpcError> {
        let Some((client, url)) = &self.at else {
            return Ok(Answer::NotServed);
        };
        let mut url = url.clone();
        url.set_path(&format!("/rest/{resource}/{hash}.bin"));
        let unreachable = |error: reqwest::Error| RpcError::Unreachable {
            url: url.origin().ascii_serialization(),
            reason: innermost(&error),
        };
        let response = client.get(url.clone()).send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes_max = if status.is_success() {
            bytes_max
        } else {
            REFUSAL_BYTES_MAX
        };
        let body = read(response, bytes_max).await.map_err(unreachable)?;
        let Some(body) = body else {
            return Err(RpcError::Unexpected {
                method: resource,
                reason: format!("more than {bytes_max} bytes"),
            });
        };
        if status.is_success() {
            return Ok(Answer::Found(body));
        }
        let words = String::from_utf8_lossy(&body).trim().to_owned();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Err(RpcError::WarmingUp { message: words }),
            // A node without the route gives no reason, and a proxy another status.
            StatusCode::NOT_FOUND if !words.is_empty() => Ok(Answer::NotFound(words)),
            status if status.is_client_error() => Ok(Answer::NotServed),
            status => Err(RpcError::Unexpected {
                method: resource,
                reason: format!("HTTP {status} {words}"),
            }),
        }
    }
}

fn http_client() -> Option<Client> {
    // Plain HTTP only, but the client is not built without; it fails when there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder()
        .timeout(NODE_CALL_MAX)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build();
    client
        .inspect_err(|error| tracing::warn!(%error, "blocks are read over JSON-RPC, not REST"))
        .ok()
}

/// The body; nothing when it is longer than `bytes_max`.
async fn read(mut response: Response, bytes_max: usize) -> Result<Option<Bytes>, reqwest::Error> {
    let announced = response.content_length().unwrap_or(0);
    let Some(announced) = usize::try_from(announced)
        .ok()
        .filter(|announced| *announced <= bytes_max)
    else {
        return Ok(None);
    };
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// The last cause says what happened; the outer ones say that a request failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
