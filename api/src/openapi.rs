//! The OpenAPI 3.1 description, generated from the handlers and from one table of problems.
//!
//! `docs/openapi.json` is this, written down; a test compares the two.

mod problems;
mod signing;

use problems::Problems;
use signing::Signing;
use utoipa::OpenApi;

use crate::routes::{
    addresses, balance, clients, events, live, mailboxes, messages, prices, proofs, push,
    send_message, send_messages, service, transactions,
};

/// The description before what all operations share is added.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Satpost",
        description = "The server side of a self-sovereign Bitcoin mobile wallet: end-to-end encrypted messages, watched addresses, wake-ups. Every answer that is no success is an RFC 9457 problem with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        clients::register_client,
        clients::get_client,
        clients::rotate_messaging_key,
        clients::retire_client,
        addresses::watch_addresses,
        addresses::list_addresses,
        addresses::import_addresses,
        addresses::unwatch_addresses,
        balance::rescan_addresses,
        balance::get_balance,
        balance::list_utxos,
        transactions::list_transactions,
        proofs::get_transaction_proof,
        events::listen,
        send_message::send_message,
        send_messages::send_messages,
        messages::fetch_messages,
        live::stream_messages,
        live::open_socket,
        messages::acknowledge_messages,
        messages::get_queue,
        messages::wipe_queue,
        mailboxes::set_stranger_policy,
        mailboxes::add_delivery_tokens,
        mailboxes::revoke_delivery_tokens,
        push::set_push_target,
        push::verify_push_target,
        push::remove_push_target,
        prices::get_price,
        prices::list_prices,
        service::get_limits,
        service::get_info,
        service::get_live,
        service::get_ready,
        service::get_version,
        service::get_openapi,
    ),
    components(schemas(
        satpost_api_types::problem::Problem,
        satpost_api_types::live::LineEnd,
        satpost_api_types::live::Closing,
        satpost_api_types::live::ServerFrame,
        satpost_api_types::live::ClientFrame,
    )),
    tags(
        (name = "clients", description = "Registration, key rotation, retirement"),
        (name = "addresses", description = "The watch list"),
        (name = "transactions", description = "What became of transactions that touch watched addresses"),
        (name = "messages", description = "Sending, fetching, acknowledging"),
        (name = "push", description = "Where a phone is woken"),
        (name = "prices", description = "What a bitcoin costs"),
        (name = "service", description = "What the server says about itself"),
    ),
    modifiers(&Signing, &Problems),
)]
struct ApiDocument;

/// The description of the public listener.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDocument::openapi()
}

/// The description as it is served and written down: pretty-printed JSON with a line break at its end.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi_json() -> Result<String, serde_json::Error> {
    openapi().to_pretty_json().map(|text| text + "\n")
}

/// Every operation of a path with its method, for what is added to all of them.
fn operations(
    item: &mut utoipa::openapi::PathItem,
) -> impl Iterator<Item = (&'static str, &mut utoipa::openapi::path::Operation)> {
    [
        ("GET", item.get.as_mut()),
        ("POST", item.post.as_mut()),
        ("PUT", item.put.as_mut()),
        ("DELETE", item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}

#[cfg(test)]
mod tests;
