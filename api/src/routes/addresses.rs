//! The watch list.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use satpost_api_types::addresses::{
    ImportAddressesResponse, ListAddressesResponse, UnwatchAddressesRequest, WatchAddressesRequest,
    WatchAddressesResponse, WatchEntry, WatchedAddress,
};
use satpost_commands::{
    import_addresses as import, unwatch_addresses as unwatch, watch_addresses as watch,
};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::{ADDRESSES_PER_PAGE_MAX, ADDRESSES_PER_REQUEST_MAX};
use satpost_domain::network::Network;
use satpost_domain::watchlist::{WatchBounds, WatchTarget};
use satpost_projections::watched_scripts::WatchedScript;
use serde::Deserialize;

use crate::address::{
    address_of, after_cursor, birthday_of, cursor_of, each_entry, target_of, watch_of, wish,
};
use crate::extract::{Command, Json, Lines, PageSize, Query, Registered, State};
use crate::import::{ImportLines, LineRules, read_lines};
use crate::ports::FEATURE_WATCHING;
use crate::problem::ApiError;
use crate::respond::{done, done_without_content, found};

/// Watches addresses.
///
/// Signed by the identity key of a registered client. Answers once every later transaction is
/// noticed. Those watched already stay, with other depths or another birthday where they are named.
#[utoipa::path(
    post, path = "/v1/addresses", tag = "addresses", security(("signature" = [])),
    request_body = WatchAddressesRequest,
    responses((status = 200, description = "They are watched", body = WatchAddressesResponse))
)]
pub(crate) async fn watch_addresses(
    state: State,
    command: Command<Registered, Json<WatchAddressesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let network = state.config.network;
    let common = wish(body.depths.as_deref(), body.birthday)?;
    let mut watches = each_entry(&body.addresses, |entry| watch_of(entry, network))?;
    for (_, wish) in &mut watches {
        wish.depths = wish.depths.or(common.depths);
        wish.birthday = wish.birthday.or(common.birthday);
    }
    check_watching(&state)?;
    let (client, bounds) = (command.subject.0, bounds(&state));
    let watched =
        watch::watch_addresses(&state.handler, command.context, client, watches, bounds).await?;
    state.wait_until_visible(watched.position).await?;
    Ok(
        done(StatusCode::OK, watched.position).json(WatchAddressesResponse {
            added: watched.added,
            changed: watched.changed,
        }),
    )
}

/// What the server allows now.
pub(crate) fn bounds(state: &State) -> WatchBounds {
    let tip = state.read_model.transaction_status().tip();
    WatchBounds {
        list_max: state.config.watched_addresses_max,
        ..WatchBounds::new(state.config.network, tip.map(|tip| tip.height))
    }
}

/// Watches many addresses.
///
/// Signed by the identity key of a registered client. One entry a line, as in `POST /v1/addresses`: up to
/// 100,000 lines and 8 MiB. Good lines are carried out although others are bad. They are watched in
/// steps of 1,024: a list that becomes full ends the import before the step that would not fit, and a
/// server that cannot go on answers with a problem; the same request again does what is left.
#[utoipa::path(
    post, path = "/v1/addresses:import", tag = "addresses", security(("signature" = [])),
    request_body(content = WatchEntry, content_type = "application/x-ndjson"),
    responses((status = 200, description = "What became of the lines", body = ImportAddressesResponse))
)]
pub(crate) async fn import_addresses(
    state: State,
    command: Command<Registered, Lines>,
) -> Result<HttpResponse, ApiError> {
    let Lines(body) = &command.body;
    check_watching(&state)?;
    let rules = LineRules {
        network: state.config.network,
        bounds: bounds(&state),
        now: state.clock.now(),
    };
    let body = body.clone();
    let lines = web::block(move || read_lines(&body, &rules))
        .await
        .map_err(ApiError::internal)??;
    let (client, context) = (command.subject.0, command.context);
    let (handler, watches) = (&state.handler, &lines.watches);
    let imported = import::import_addresses(handler, context, client, watches, rules.bounds)
        .await
        .map_err(|interrupted| ApiError::interrupted(interrupted, lines.watches.len()))?;
    state.wait_while_moving(imported.position).await?;
    Ok(done(StatusCode::OK, imported.position).json(import_response(lines, &imported)))
}

/// The lines behind the one that was refused by the whole list are refused with it.
fn import_response(
    lines: ImportLines,
    imported: &import::ImportedAddresses,
) -> ImportAddressesResponse {
    let good = lines.watches.len();
    let mut refusals = lines.refusals;
    let total = good + refusals.count;
    if let Some(refusal) = imported.refused
        && let Some(line) = lines.numbers.get(imported.carried_out)
    {
        let left = good - imported.carried_out;
        refusals.add_first(*line, left, &refusal.into());
    }
    ImportAddressesResponse {
        lines: total,
        added: imported.added,
        changed: imported.changed,
        unchanged: imported.carried_out - imported.added - imported.changed,
        refused: refusals.count,
        errors: refusals.errors,
    }
}

/// Refuses what nobody would watch.
pub(crate) fn check_watching(state: &State) -> Result<(), ApiError> {
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
    /// The cursor of the page before; from the beginning when it is absent.
    after: Option<String>,
    /// How many at most; 100 when it is absent.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000)]
    limit: Option<PageSize<ADDRESSES_PER_PAGE_MAX>>,
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
    let limit = query.parameters.limit;
    let limit = limit.map_or(ADDRESSES_PER_REQUEST_MAX, PageSize::get);
    let after = query.parameters.after.as_deref().map(after_cursor);
    let after = after.transpose()?;
    let watched = state.read_model.watched_scripts();
    let mut page = watched.list(&query.subject.0, after.as_ref(), limit + 1);
    drop(watched);
    let more = page.len() > limit;
    page.truncate(limit);
    let network = state.config.network;
    Ok(found(ListAddressesResponse {
        cursor: page.last().map(|entry| cursor_of(&entry.target)),
        addresses: page
            .iter()
            .map(|entry| watched_address(entry, network))
            .collect(),
        more,
    }))
}

fn watched_address(entry: &WatchedScript, network: Network) -> WatchedAddress {
    let script = entry.target.script();
    WatchedAddress {
        address: script.and_then(|script| address_of(script, network)),
        script: script.map(|script| hex::encode(script.as_bytes())),
        script_hash: entry.target.hash().to_string(),
        depths: entry.options.depths.iter().collect(),
        birthday: entry.options.birthday.map(birthday_of),
        watched_at: entry.watched_at.as_millis(),
    }
}

/// Stops watching addresses and forgets them.
///
/// Signed by the identity key of a registered client. The addresses stand in the body, because URLs
/// end up in the logs of proxies.
#[utoipa::path(
    delete, path = "/v1/addresses", tag = "addresses", security(("signature" = [])),
    request_body = UnwatchAddressesRequest,
    responses((status = 204, description = "They are not watched any more"))
)]
pub(crate) async fn unwatch_addresses(
    state: State,
    command: Command<Registered, Json<UnwatchAddressesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let network = state.config.network;
    let scripts = each_entry(&body.addresses, |entry| named_only(entry, network))?;
    let client = command.subject.0;
    let position =
        unwatch::unwatch_addresses(&state.handler, command.context, client, scripts).await?;
    Ok(done_without_content(position))
}

/// The script that is not to be watched any more.
fn named_only(entry: &WatchEntry, network: Network) -> Result<ScriptHash, ApiError> {
    if let WatchEntry::Detailed(entry) = entry
        && (entry.depths.is_some() || entry.birthday.is_some())
    {
        return Err(ApiError::malformed(
            "depths and birthday mean nothing where watching ends",
        ));
    }
    target_of(entry, network).map(|target: WatchTarget| target.hash())
}
