//! The table of endpoints: method, path, handler. Mounted under prefixes, so that clients of
//! Esplora (no prefix), of electrs (`/api`) and of mempool.space (`/api`, `/api/v1`) find them.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Route, Scope};

use super::answer::respond;
use super::call::{Call, state};
use super::error::EsploraError;
use super::{blocks, broadcast, mempool, scripts, transactions, websocket};

/// Where the API is on the public listener.
pub(crate) const PUBLIC_PREFIX: &str = "/esplora";
/// What clients of electrs and of mempool.space put before every path.
const API_PREFIX: &str = "/api";

/// Declares the endpoints: the table, and the routes that make them reachable.
macro_rules! declare {
    ($($method:ident $path:literal => $module:ident::$name:ident;)*) => {
        /// Method, path and handler of every endpoint; a handler may have several paths.
        pub fn endpoints() -> &'static [(&'static str, &'static str, &'static str)] {
            &[$((stringify!($method), $path, stringify!($name)),)*]
        }

        fn routes() -> Vec<(&'static str, Route)> {
            vec![$((
                $path,
                web::method(Method::$method).to(|mut call: Call| async move {
                    let reply = call.replier();
                    reply($module::$name(&mut call).await)
                }),
            ),)*]
        }
    };
}

declare! {
    GET "/tx/{txid}" => transactions::get_transaction;
    GET "/tx/{txid}/status" => transactions::get_transaction_status;
    GET "/tx/{txid}/hex" => transactions::get_transaction_hex;
    GET "/tx/{txid}/raw" => transactions::get_raw_transaction;
    GET "/tx/{txid}/merkle-proof" => transactions::get_merkle_proof;
    GET "/tx/{txid}/merkleblock-proof" => transactions::get_merkleblock_proof;
    GET "/tx/{txid}/outspend/{vout}" => transactions::get_outspend;
    GET "/tx/{txid}/outspends" => transactions::list_outspends;
    GET "/txs/outspends" => transactions::list_outspends_of_many;
    POST "/tx" => broadcast::broadcast_transaction;
    GET "/broadcast" => broadcast::broadcast_from_query;
    POST "/txs/package" => broadcast::submit_package;
    POST "/txs/test" => broadcast::test_transactions;
    GET "/address/{address}" => scripts::get_script;
    GET "/address/{address}/txs" => scripts::list_transactions;
    GET "/address/{address}/txs/chain" => scripts::list_confirmed;
    GET "/address/{address}/txs/chain/{last_seen}" => scripts::list_confirmed;
    GET "/address/{address}/txs/mempool" => scripts::list_unconfirmed;
    GET "/address/{address}/utxo" => scripts::list_unspent;
    GET "/scripthash/{scripthash}" => scripts::get_script;
    GET "/scripthash/{scripthash}/txs" => scripts::list_transactions;
    GET "/scripthash/{scripthash}/txs/chain" => scripts::list_confirmed;
    GET "/scripthash/{scripthash}/txs/chain/{last_seen}" => scripts::list_confirmed;
    GET "/scripthash/{scripthash}/txs/mempool" => scripts::list_unconfirmed;
    GET "/scripthash/{scripthash}/utxo" => scripts::list_unspent;
    POST "/addresses/txs" => scripts::list_transactions_of_addresses;
    POST "/scripthashes/txs" => scripts::list_transactions_of_scripthashes;
    GET "/address-prefix/{prefix}" => scripts::search_addresses;
    GET "/v1/validate-address/{address}" => scripts::validate_address;
    GET "/block/{hash}" => blocks::get_block;
    GET "/block/{hash}/header" => blocks::get_block_header;
    GET "/block/{hash}/status" => blocks::get_block_status;
    GET "/block/{hash}/txs" => blocks::list_block_transactions;
    GET "/block/{hash}/txs/{start}" => blocks::list_block_transactions;
    GET "/block/{hash}/txids" => blocks::list_block_txids;
    GET "/block/{hash}/txid/{index}" => blocks::get_block_txid;
    GET "/block/{hash}/raw" => blocks::get_raw_block;
    GET "/block-height/{height}" => blocks::get_block_hash;
    GET "/blocks" => blocks::list_blocks;
    GET "/blocks/tip/height" => blocks::get_tip_height;
    GET "/blocks/tip/hash" => blocks::get_tip_hash;
    GET "/blocks/{start}" => blocks::list_blocks;
    GET "/mempool" => mempool::get_mempool;
    GET "/mempool/txids" => mempool::list_mempool_txids;
    GET "/mempool/txids/page" => mempool::page_mempool_txids;
    GET "/mempool/txids/page/{last_seen}" => mempool::page_mempool_txids;
    GET "/mempool/recent" => mempool::list_recent;
    GET "/fee-estimates" => mempool::get_fee_estimates;
    GET "/v1/fees/recommended" => mempool::get_recommended_fees;
    GET "/block-template" => mempool::get_block_template;
}

/// The WebSocket, which answers with no [`super::answer::Answer`].
const WEBSOCKET_PATH: &str = "/v1/ws";

/// The name of the handler behind a matched pattern, for metrics and the log.
pub(crate) fn operation_name(method: &Method, pattern: Option<&str>) -> &'static str {
    let Some(pattern) = pattern else {
        return "unmatched";
    };
    let path = pattern.strip_prefix(PUBLIC_PREFIX).unwrap_or(pattern);
    let path = path.strip_prefix(API_PREFIX).unwrap_or(path);
    if path == WEBSOCKET_PATH {
        return "websocket";
    }
    endpoints()
        .iter()
        .find(|(of, at, _)| *of == method.as_str() && *at == path)
        .map_or("unmatched", |(_, _, name)| name)
}

/// Makes the endpoints reachable on the public listener.
pub(crate) fn configure_public(config: &mut ServiceConfig) {
    config.service(scope("/esplora/api"));
    config.service(scope(PUBLIC_PREFIX));
}

/// Makes them reachable on a listener of their own.
pub(super) fn configure_own(config: &mut ServiceConfig) {
    config.service(scope(API_PREFIX));
    config.service(scope(""));
}

fn scope(prefix: &'static str) -> Scope {
    let mut by_path: BTreeMap<&str, Vec<Route>> = BTreeMap::new();
    for (path, route) in routes() {
        by_path.entry(path).or_default().push(route);
    }
    let mut scope = web::scope(prefix);
    for (path, routes) in by_path {
        let mut resource = web::resource(path).default_service(web::to(no_endpoint));
        for route in routes {
            resource = resource.route(route);
        }
        scope = scope.service(resource);
    }
    scope
        .route(WEBSOCKET_PATH, web::get().to(websocket::open))
        .default_service(web::to(no_endpoint))
}

/// A path that is none, or none with this method, as clients of Esplora are told.
async fn no_endpoint(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let path = path.strip_prefix(PUBLIC_PREFIX).unwrap_or(path);
    let origin = state(&request).config.allow_origin.clone();
    let error = EsploraError::no_endpoint(path);
    respond(Err(error), false, request.headers(), origin.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_matched_under_every_prefix() {
        for pattern in [
            "/tx/{txid}/status",
            "/api/tx/{txid}/status",
            "/esplora/tx/{txid}/status",
            "/esplora/api/tx/{txid}/status",
        ] {
            let name = operation_name(&Method::GET, Some(pattern));
            assert_eq!(name, "get_transaction_status");
        }
        assert_eq!(
            operation_name(&Method::POST, Some("/tx/{txid}")),
            "unmatched"
        );
        assert_eq!(operation_name(&Method::GET, None), "unmatched");
        assert_eq!(
            operation_name(&Method::GET, Some("/api/v1/ws")),
            "websocket"
        );
    }
}
