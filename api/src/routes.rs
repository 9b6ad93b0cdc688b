//! The table of operations: name, method, path, handler. Metrics, logs, `Allow` and the test of the
//! OpenAPI description all read it.

pub(crate) mod addresses;
pub(crate) mod balance;
pub(crate) mod clients;
pub(crate) mod events;
pub(crate) mod live;
pub(crate) mod mailboxes;
pub(crate) mod messages;
pub(crate) mod operator;
pub(crate) mod prices;
pub(crate) mod proofs;
pub(crate) mod push;
pub(crate) mod send_message;
pub(crate) mod send_messages;
pub(crate) mod service;
pub(crate) mod transactions;

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Route};
use satpost_api_types::problem::ProblemCode;

use crate::problem::ApiError;

/// An operation of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The name of the command or query, everywhere.
    pub name: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
}

/// Declares a listener's operations: the table, and the routes that make them reachable.
macro_rules! operations {
    ($(#[$doc:meta])* $table:ident, $(#[$configure_doc:meta])* $configure:ident; $($method:ident $path:literal => $module:ident::$name:ident;)*) => {
        $(#[$doc])*
        #[must_use]
        pub fn $table() -> Vec<Operation> {
            vec![$(Operation { name: stringify!($name), method: Method::$method, path: $path },)*]
        }

        $(#[$configure_doc])*
        pub(crate) fn $configure(config: &mut ServiceConfig) {
            let routes = vec![$((
                Operation { name: stringify!($name), method: Method::$method, path: $path },
                web::method(Method::$method).to($module::$name),
            ),)*];
            register(config, routes);
        }
    };
}

operations! {
    /// The operations of the public listener.
    public_operations,
    /// Makes them reachable.
    configure_public;
    POST "/v1/clients" => clients::register_client;
    GET "/v1/clients/self" => clients::get_client;
    DELETE "/v1/clients/self" => clients::retire_client;
    PUT "/v1/clients/self/messaging-key" => clients::rotate_messaging_key;
    POST "/v1/addresses" => addresses::watch_addresses;
    GET "/v1/addresses" => addresses::list_addresses;
    POST "/v1/addresses:import" => addresses::import_addresses;
    DELETE "/v1/addresses" => addresses::unwatch_addresses;
    POST "/v1/addresses/rescan" => balance::rescan_addresses;
    GET "/v1/balance" => balance::get_balance;
    GET "/v1/utxos" => balance::list_utxos;
    GET "/v1/transactions" => transactions::list_transactions;
    GET "/v1/transactions/{txid}/proof" => proofs::get_transaction_proof;
    GET "/v1/events" => events::listen;
    POST "/v1/queues/{recipient}/messages" => send_message::send_message;
    POST "/v1/messages:batch" => send_messages::send_messages;
    GET "/v1/messages" => messages::fetch_messages;
    GET "/v1/messages/stream" => live::stream_messages;
    GET "/v1/ws" => live::open_socket;
    POST "/v1/messages/ack" => messages::acknowledge_messages;
    GET "/v1/queue" => messages::get_queue;
    DELETE "/v1/queue" => messages::wipe_queue;
    PUT "/v1/policy" => mailboxes::set_stranger_policy;
    POST "/v1/delivery-tokens" => mailboxes::add_delivery_tokens;
    DELETE "/v1/delivery-tokens" => mailboxes::revoke_delivery_tokens;
    PUT "/v1/push" => push::set_push_target;
    POST "/v1/push/verify" => push::verify_push_target;
    DELETE "/v1/push" => push::remove_push_target;
    GET "/v1/price/{currency}" => prices::get_price;
    GET "/v1/prices" => prices::list_prices;
    GET "/v1/limits" => service::get_limits;
    GET "/v1/info" => service::get_info;
    GET "/health/live" => service::get_live;
    GET "/health/ready" => service::get_ready;
    GET "/version" => service::get_version;
    GET "/openapi.json" => service::get_openapi;
}

operations! {
    /// The operations of the operator's listener.
    operator_operations,
    /// Makes them reachable.
    configure_operator;
    GET "/metrics" => operator::get_metrics;
    GET "/operator/projections" => operator::list_projections;
    GET "/health/live" => service::get_live;
    GET "/health/ready" => service::get_ready;
}

/// The name of the operation behind a matched route; `unmatched` when there is none.
pub(crate) fn operation_name(method: &Method, pattern: Option<&str>) -> &'static str {
    use std::sync::LazyLock;
    static ALL: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let mut all = public_operations();
        all.extend(operator_operations());
        all.extend(crate::spotbit::operations());
        all
    });
    ALL.iter()
        .find(|operation| operation.method == *method && pattern == Some(operation.path))
        .map_or("unmatched", |operation| operation.name)
}

/// One resource for each path, which knows its methods.
fn register(config: &mut ServiceConfig, routes: Vec<(Operation, Route)>) {
    let mut by_path: BTreeMap<&'static str, Vec<(Method, Route)>> = BTreeMap::new();
    for (operation, route) in routes {
        let routes = by_path.entry(operation.path).or_default();
        routes.push((operation.method, route));
    }
    for (path, routes) in by_path {
        let methods: Vec<String> = routes
            .iter()
            .map(|(method, _)| method.to_string())
            .collect();
        let allow = methods.join(", ");
        let mut resource = web::resource(path).default_service(web::to(move || {
            let allow = allow.clone();
            async move { Err::<HttpResponse, _>(ApiError::method_not_allowed(allow)) }
        }));
        for (_, route) in routes {
            resource = resource.route(route);
        }
        config.service(resource);
    }
    config.default_service(web::to(|| async {
        Err::<HttpResponse, _>(ApiError::new(ProblemCode::NotFound))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_operation_once_on_a_listener() {
        for table in [public_operations(), operator_operations()] {
            let mut names: Vec<_> = table.iter().map(|operation| operation.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.len());
        }
    }

    #[test]
    fn finds_the_name_of_a_matched_route() {
        let name = |method, path| operation_name(&method, path);
        assert_eq!(name(Method::POST, Some("/v1/clients")), "register_client");
        assert_eq!(name(Method::GET, Some("/v1/clients")), "unmatched");
        assert_eq!(name(Method::GET, None), "unmatched");
    }
}
