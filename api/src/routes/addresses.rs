//! The watch list.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use satpost_api_types::addresses::{
    AddressesRequest, ListAddressesResponse, WatchAddressesResponse, WatchedAddress,
};
use satpost_api_types::problem::ProblemCode;
use satpost_commands::{unwatch_addresses as unwatch, watch_addresses as watch};
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;
use satpost_projections::watched_scripts::WatchedScript;
use serde::Deserialize;

use crate::address::{address_of, script_of, scripts_of};
use crate::extract::{Command, Json, PageSize, Query, Registered, State};
use crate::ports::FEATURE_WATCHING;
use crate::problem::ApiError;
use crate::respond::{done, done_without_content, found};

/// Watches addresses.
///
/// Signed by the identity key of a registered client. Answers once every later transaction is
/// noticed; those watched already stay as they are.
#[utoipa::path(
    post, path = "/v1/addresses", tag = "addresses", security(("signature" = [])),
    request_body = AddressesRequest,
    responses((status = 200, description = "They are watched", body = WatchAddressesResponse))
)]
pub(crate) async fn watch_addresses(
    state: State,
    command: Command<Registered, Json<AddressesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let scripts = scripts_of(&body.addresses, state.config.network)?;
    check_watching(&state)?;
    let client = command.subject.0;
    let watched = watch::watch_addresses(&state.handler, command.context, client, scripts).await?;
    state.wait_until_visible(watched.position).await?;
    Ok(
        done(StatusCode::OK, watched.position).json(WatchAddressesResponse {
            added: watched.added,
        }),
    )
}

/// Refuses what nobody would watch.
fn check_watching(state: &State) -> Result<(), ApiError> {
    let features = state.service.features();
    let watching = features
        .iter()
        .find(|feature| feature.name == FEATURE_WATCHING);
    match watching {
        Some(feature) if feature.available => Ok(()),
        Some(_) | None => Err(ApiError::node_unavailable()),
    }
}

/// `after`, `limit`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAddressesParameters {
    /// The last address of the page before.
    after: Option<String>,
    /// How many at most; 100 when it is absent.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 100)]
    limit: Option<PageSize<ADDRESSES_PER_REQUEST_MAX>>,
}

/// Lists the watched addresses.
///
/// Signed by the identity key of a registered client.
#[utoipa::path(
    get, path = "/v1/addresses", tag = "addresses", security(("signature" = [])),
    params(ListAddressesParameters),
    responses((status = 200, description = "A page of the list", body = ListAddressesResponse))
)]
pub(crate) async fn list_addresses(
    state: State,
    query: Query<Registered, ListAddressesParameters>,
) -> Result<HttpResponse, ApiError> {
    let network = state.config.network;
    let limit = query.parameters.limit;
    let limit = limit.map_or(ADDRESSES_PER_REQUEST_MAX, PageSize::get);
    let after = query.parameters.after.map(|text| script_of(&text, network));
    let after = after
        .transpose()
        .map_err(|what| ApiError::new(ProblemCode::InvalidAddress).with_detail(what))?;
    let watched = state.read_model.watched_scripts();
    let mut page = watched.list(&query.subject.0, after.as_ref(), limit + 1);
    let more = page.len() > limit;
    page.truncate(limit);
    let addresses = page
        .iter()
        .map(|entry| watched_address(entry, &state))
        .collect::<Result<_, _>>()?;
    Ok(found(ListAddressesResponse { addresses, more }))
}

fn watched_address(entry: &WatchedScript, state: &State) -> Result<WatchedAddress, ApiError> {
    Ok(WatchedAddress {
        address: address_of(&entry.script, state.config.network)?,
        script_hash: entry.script.hash().to_string(),
        watched_at: entry.watched_at.as_millis(),
    })
}

/// Stops watching addresses and forgets them.
///
/// Signed by the identity key of a registered client. The addresses stand in the body, because URLs
/// end up in the logs of proxies.
#[utoipa::path(
    delete, path = "/v1/addresses", tag = "addresses", security(("signature" = [])),
    request_body = AddressesRequest,
    responses((status = 204, description = "They are not watched any more"))
)]
pub(crate) async fn unwatch_addresses(
    state: State,
    command: Command<Registered, Json<AddressesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let scripts = scripts_of(&body.addresses, state.config.network)?;
    let client = command.subject.0;
    let position =
        unwatch::unwatch_addresses(&state.handler, command.context, client, scripts).await?;
    Ok(done_without_content(position))
}
