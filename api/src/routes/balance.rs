//! What watched addresses have, and how far back that is known.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use satpost_api_types::balance::{
    Backfill, BalanceResponse, Completeness, ListUtxosResponse, RescanAddressesRequest,
    RescanAddressesResponse, Utxo,
};
use satpost_api_types::problem::ProblemCode;
use satpost_api_types::transactions::Block;
use satpost_commands::watch_addresses as watch;
use satpost_domain::ClientId;
use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::UTXOS_PER_PAGE_MAX;
use satpost_domain::watchlist::WatchTarget;
use satpost_projections::coins::{Balance, Coins, Origin, Reading, UnspentCoin};
use satpost_projections::watched_scripts::WatchedScripts;
use serde::Deserialize;

use crate::address::{each_entry, target_of, wish};
use crate::extract::{Command, Json, PageSize, Query, Registered, State};
use crate::problem::ApiError;
use crate::respond::{done, found};
use crate::routes::addresses::{bounds, check_watching};

/// `script_hash`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GetBalanceParameters {
    /// SHA-256 of one watched script, not reversed; all of them when it is absent.
    script_hash: Option<String>,
}

/// Says what the watched addresses have.
///
/// Signed by the identity key of a registered client. Says as of which block, and whether anything
/// may be missing. A script that the client does not watch is refused, because nothing is known of it.
#[utoipa::path(
    get, path = "/v1/balance", tag = "transactions", security(("signature" = [])),
    params(GetBalanceParameters),
    responses((status = 200, description = "What they have", body = BalanceResponse))
)]
pub(crate) async fn get_balance(
    state: State,
    query: Query<Registered, GetBalanceParameters>,
) -> Result<HttpResponse, ApiError> {
    let client = query.subject.0;
    let scripts = scripts(&state, &client, query.parameters.script_hash.as_deref())?;
    let completeness = completeness(&state, &client, &scripts);
    let coins = state.read_model.coins();
    let mut sum = Balance::default();
    for script in &scripts {
        sum.add(&coins.balance(script));
    }
    Ok(found(BalanceResponse {
        as_of: coins.tip().map(block),
        confirmed_sat: sum.confirmed_sat,
        immature_sat: sum.immature_sat,
        incoming_sat: sum.incoming_sat,
        outgoing_sat: sum.outgoing_sat,
        completeness,
    }))
}

/// `after`, `limit`, `script_hash`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUtxosParameters {
    /// The cursor of the page before; from the beginning when it is absent.
    after: Option<String>,
    /// How many at most; 500 when it is absent.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 500)]
    limit: Option<PageSize<UTXOS_PER_PAGE_MAX>>,
    /// SHA-256 of one watched script, not reversed; all of them when it is absent.
    script_hash: Option<String>,
}

/// Lists the coins of the watched addresses that no block has spent.
///
/// Signed by the identity key of a registered client. By script hash and outpoint.
#[utoipa::path(
    get, path = "/v1/utxos", tag = "transactions", security(("signature" = [])),
    params(ListUtxosParameters),
    responses((status = 200, description = "A page of coins", body = ListUtxosResponse))
)]
pub(crate) async fn list_utxos(
    state: State,
    query: Query<Registered, ListUtxosParameters>,
) -> Result<HttpResponse, ApiError> {
    let (client, parameters) = (query.subject.0, query.parameters);
    let limit = parameters.limit.map_or(UTXOS_PER_PAGE_MAX, PageSize::get);
    let after = parameters.after.as_deref().map(read_cursor).transpose()?;
    let mut scripts = scripts(&state, &client, parameters.script_hash.as_deref())?;
    scripts.sort_unstable();
    let completeness = completeness(&state, &client, &scripts);
    let coins = state.read_model.coins();
    let mut page: Vec<(ScriptHash, UnspentCoin)> = scripts
        .iter()
        .filter(|script| after.is_none_or(|(last, _)| **script >= last))
        .flat_map(|script| {
            let within = after.filter(|(last, _)| last == script);
            let coins = coins.unspent(script, within.map(|(_, outpoint)| outpoint));
            coins.map(|coin| (*script, coin))
        })
        .take(limit + 1)
        .collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let cursor = page.last().map(|(script, coin)| {
        let OutPoint { txid, vout } = coin.outpoint;
        format!("{script}:{txid}:{vout}")
    });
    Ok(found(ListUtxosResponse {
        as_of: coins.tip().map(block),
        utxos: page.iter().map(utxo).collect(),
        more,
        cursor,
        completeness,
    }))
}

/// Reads the history of watched addresses.
///
/// Signed by the identity key of a registered client. Sets their birthday and answers how far back they
/// are known now; the same request again does nothing but show the progress.
#[utoipa::path(
    post, path = "/v1/addresses/rescan", tag = "addresses", security(("signature" = [])),
    request_body = RescanAddressesRequest,
    responses((status = 200, description = "How far back they are known", body = RescanAddressesResponse))
)]
pub(crate) async fn rescan_addresses(
    state: State,
    command: Command<Registered, Json<RescanAddressesRequest>>,
) -> Result<HttpResponse, ApiError> {
    let Json(body) = command.body;
    let network = state.config.network;
    let wish = wish(None, Some(body.birthday))?;
    let targets = each_entry(&body.addresses, |entry| target_of(entry, network))?;
    check_watching(&state)?;
    let client = command.subject.0;
    let scripts: Vec<ScriptHash> = targets.iter().map(WatchTarget::hash).collect();
    {
        let watched = state.read_model.watched_scripts();
        if !scripts
            .iter()
            .all(|script| watched.watches(&client, script))
        {
            return Err(ApiError::new(ProblemCode::NotWatched));
        }
    }
    let watches = targets.into_iter().map(|target| (target, wish)).collect();
    let bounds = bounds(&state);
    let changed =
        watch::watch_addresses(&state.handler, command.context, client, watches, bounds).await?;
    state.wait_until_visible(changed.position).await?;
    let completeness = completeness(&state, &client, &scripts);
    let response = RescanAddressesResponse {
        changed: changed.changed,
        completeness,
    };
    Ok(done(StatusCode::OK, changed.position).json(response))
}

/// What is asked about; refused when the client does not watch it.
fn scripts(
    state: &State,
    client: &ClientId,
    script_hash: Option<&str>,
) -> Result<Vec<ScriptHash>, ApiError> {
    let watched = state.read_model.watched_scripts();
    let Some(text) = script_hash else {
        return Ok(watched.hashes(client));
    };
    let script: ScriptHash = text.parse().map_err(ApiError::malformed)?;
    if watched.watches(client, &script) {
        Ok(vec![script])
    } else {
        Err(ApiError::new(ProblemCode::NotWatched))
    }
}

fn completeness(state: &State, client: &ClientId, scripts: &[ScriptHash]) -> Completeness {
    let gap_open = state.read_model.transaction_status().gap_open();
    let watched = state.read_model.watched_scripts();
    let coins = state.read_model.coins();
    let from = scripts
        .iter()
        .map(|script| known_from(&watched, &coins, client, script));
    let from: Option<Vec<u32>> = from.collect();
    Completeness {
        complete: !gap_open && coins.tip().is_some() && from.is_some(),
        history_from: from.and_then(|from| from.into_iter().max()),
        backfill: coins.running().zip(coins.tip()).map(|(running, tip)| {
            let through = match running.reading {
                Reading::Next(next) | Reading::Through(next) => {
                    (next > running.from).then(|| next - 1)
                }
            };
            Backfill {
                from: running.from,
                through,
                target: tip.height,
            }
        }),
    }
}

/// From which height on everything of a script is known, when nothing is missing since the birthday
/// that the client gave. A script that is known by its hash only cannot be looked up among unspent
/// outputs, so nothing stands in for its pruned history.
fn known_from(
    watched: &WatchedScripts,
    coins: &Coins,
    client: &ClientId,
    script: &ScriptHash,
) -> Option<u32> {
    let (birthday, passes_before) = watched.birthday(client, script)?;
    let coverage = coins.coverage(script)?;
    let pruned_hash = coverage.from > coverage.wanted
        && watched
            .targets(script)
            .iter()
            .all(|target| target.script().is_none());
    let known = coverage.satisfies(birthday, passes_before) && !pruned_hash;
    known.then_some(coverage.from)
}

fn read_cursor(text: &str) -> Result<(ScriptHash, OutPoint), ApiError> {
    let mut parts = text.split(':');
    let cursor = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(script), Some(txid), Some(vout), None) => script
            .parse()
            .ok()
            .zip(txid.parse().ok())
            .zip(vout.parse().ok())
            .map(|((script, txid), vout)| (script, OutPoint { txid, vout })),
        _ => None,
    };
    cursor.ok_or_else(|| ApiError::malformed("after is the cursor of a page"))
}

fn utxo((script, coin): &(ScriptHash, UnspentCoin)) -> Utxo {
    Utxo {
        txid: coin.outpoint.txid.to_string(),
        vout: coin.outpoint.vout,
        script_hash: script.to_string(),
        value_sat: coin.value_sat,
        height: match coin.origin {
            Origin::Block { height, .. } => Some(height),
            Origin::Mempool => None,
        },
        mature: coin.mature,
        spent_by: coin.spent_by.map(|txid| txid.to_string()),
    }
}

fn block(block: BlockRef) -> Block {
    Block {
        height: block.height,
        hash: block.hash.to_string(),
    }
}
