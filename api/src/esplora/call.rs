//! A request of the Esplora API, and its parts read the way its clients write them.

use std::future::{Ready, ready};
use std::str::FromStr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, BlockHash, Txid};
use satpost_domain::hash::sha256;
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::ESPLORA_BODY_BYTES_MAX;
use satpost_domain::network::Network;
use url::form_urlencoded;

use super::answer::{Keep, Outcome, respond};
use super::error::EsploraError;
use super::ports::{ChainQuery, QueryError};
use super::state::EsploraState;
use crate::address::bitcoin_network;
use crate::extract::read_body;

/// A request: its head, its body when it is asked for, and what it may ask.
pub(crate) struct Call {
    request: HttpRequest,
    payload: Payload,
    state: Arc<EsploraState>,
}

impl FromRequest for Call {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self {
            request: request.clone(),
            payload: payload.take(),
            state: state(request),
        }))
    }
}

/// What stands behind every route of the Esplora API.
pub(crate) fn state(request: &HttpRequest) -> Arc<EsploraState> {
    let state: &Data<EsploraState> = request
        .app_data()
        .expect("the state is put into every app that has these routes");
    Arc::clone(state)
}

impl Call {
    pub(crate) fn state(&self) -> &EsploraState {
        &self.state
    }

    pub(crate) fn chain(&self) -> &dyn ChainQuery {
        self.state.chain.as_ref()
    }

    /// The part of the path in braces; empty when the route has none of that name.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    pub(crate) fn txid(&self) -> Result<Txid, EsploraError> {
        hash(self.part("txid"))
    }

    pub(crate) fn block_hash(&self) -> Result<BlockHash, EsploraError> {
        hash(self.part("hash"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u32, EsploraError> {
        let number = self.part(name).parse();
        number.map_err(|_| EsploraError::bad("Invalid number"))
    }

    /// The script that the path names, by its address or by its hash.
    pub(crate) fn script(&self) -> Result<ScriptHash, EsploraError> {
        let address = self.part("address");
        if address.is_empty() {
            return parse_script_hash(self.part("scripthash"));
        }
        self.address(address)
    }

    /// The script of an address of this network.
    pub(crate) fn address(&self, text: &str) -> Result<ScriptHash, EsploraError> {
        parse_address(text, self.state.config.network)
    }

    /// A parameter of the query, decoded; the first one of that name.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.request.query_string().as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// A parameter of the query as an amount or a rate.
    pub(crate) fn rate(&self, name: &str) -> Result<Option<f64>, EsploraError> {
        self.parameter(name)
            .map(|text| {
                let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite());
                rate.ok_or_else(|| EsploraError::bad(format!("Invalid {name}")))
            })
            .transpose()
    }

    /// The whole body as text.
    pub(crate) async fn body(&mut self) -> Result<String, EsploraError> {
        let payload = self.payload.take();
        let body = read_body(&self.request, payload, ESPLORA_BODY_BYTES_MAX).await;
        let body = body.map_err(|error| EsploraError::from(&error))?;
        String::from_utf8(body.into()).map_err(|error| EsploraError::bad(error.to_string()))
    }

    /// The whole body as a JSON list of text.
    pub(crate) async fn list(&mut self) -> Result<Vec<String>, EsploraError> {
        let body = self.body().await?;
        serde_json::from_str(&body).map_err(|error| EsploraError::bad(error.to_string()))
    }

    /// How long something may be kept that depends on the block at `height`.
    pub(crate) async fn keep_by_depth(&self, height: Option<u32>) -> Result<Keep, QueryError> {
        let tip = self.chain().tip().await?;
        Ok(Keep::by_depth(height, tip.height))
    }

    /// What is needed to answer after the call has been used up.
    pub(crate) fn replier(&self) -> impl FnOnce(Outcome) -> HttpResponse + use<> {
        let (request, state) = (self.request.clone(), Arc::clone(&self.state));
        move |outcome| {
            let get = request.method() == actix_web::http::Method::GET;
            let origin = state.config.allow_origin.as_deref();
            respond(outcome, get, request.headers(), origin)
        }
    }
}

/// A hash of 32 bytes in display order.
fn hash<T: FromStr>(text: &str) -> Result<T, EsploraError> {
    text.parse()
        .map_err(|_| EsploraError::bad("Invalid hex string"))
}

/// The script of an address of `network`.
pub(crate) fn parse_address(text: &str, network: Network) -> Result<ScriptHash, EsploraError> {
    let address = Address::<NetworkUnchecked>::from_str(text)
        .map_err(|_| EsploraError::bad("Invalid Bitcoin address"))?;
    let address = address
        .require_network(bitcoin_network(network))
        .map_err(|_| EsploraError::bad("Address on invalid network"))?;
    let script = address.script_pubkey();
    Ok(ScriptHash::new(*sha256(script.as_bytes()).as_bytes()))
}

/// SHA-256 of a script; its bytes in order, unlike a txid.
pub(crate) fn parse_script_hash(text: &str) -> Result<ScriptHash, EsploraError> {
    text.parse()
        .map_err(|_| EsploraError::bad("Invalid scripthash"))
}
