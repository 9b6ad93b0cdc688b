//! What became of transactions that touch watched addresses.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use satpost_api_types::transactions::{
    Block, ListTransactionsResponse, Transaction, TransactionStatus, TransactionStep,
};
use satpost_domain::chain::{BlockRef, ReplacedIn};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::TRANSACTIONS_PER_PAGE_MAX;
use satpost_domain::{ClientId, Position};
use satpost_projections::transaction_status::{Status, Step, TransactionRecord};
use serde::Deserialize;

use crate::address::name_of;
use crate::extract::{PageSize, Query, Registered, State};
use crate::problem::ApiError;
use crate::respond::found;

/// `after`, `limit`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListTransactionsParameters {
    /// The cursor of the page before; from the beginning when it is absent.
    after: Option<String>,
    /// How many at most; 100 when it is absent.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 100)]
    limit: Option<PageSize<TRANSACTIONS_PER_PAGE_MAX>>,
}

/// Lists the transactions that changed after a cursor.
///
/// Signed by the identity key of a registered client. One entry for each watched address that a
/// transaction touches, by the position of its last change.
#[utoipa::path(
    get, path = "/v1/transactions", tag = "transactions", security(("signature" = [])),
    params(ListTransactionsParameters),
    responses((status = 200, description = "A page of changes", body = ListTransactionsResponse))
)]
pub(crate) async fn list_transactions(
    state: State,
    query: Query<Registered, ListTransactionsParameters>,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    state.read_model.wakes().fetched(&query.subject.0, now);
    let limit = query.parameters.limit;
    let limit = limit.map_or(TRANSACTIONS_PER_PAGE_MAX, PageSize::get);
    let after = query.parameters.after.map(|text| text.parse::<Position>());
    let after = after.transpose().map_err(ApiError::malformed)?;
    let page = page(&state, &query.subject.0, after.unwrap_or_default(), limit)?;
    Ok(found(page))
}

fn page(
    state: &State,
    client: &ClientId,
    after: Position,
    limit: usize,
) -> Result<ListTransactionsResponse, ApiError> {
    // The watch lists are read while the transactions stand still: an event reaches them first, so
    // that no address is missing for a transaction that the cursor will have passed.
    let status = state.read_model.transaction_status();
    let scripts = state.read_model.watched_scripts().hashes(client);
    let mut records = status.changed_since(&scripts, after, limit + 1);
    let more = records.len() > limit;
    records.truncate(limit);
    let cursor = records.last().and_then(|record| record.steps.last());
    let cursor = cursor.map_or(after, |step| step.position);
    let (tip, complete) = (status.tip(), !status.gap_open());
    drop(status);
    let addresses = addresses(state, client);
    let transactions: Option<_> = records
        .iter()
        // An address that was unwatched a moment ago is shown no longer.
        .filter_map(|record| Some((record, addresses.get(&record.script_hash)?)))
        .map(|(record, address)| transaction(record, tip, address))
        .collect();
    Ok(ListTransactionsResponse {
        transactions: transactions
            .ok_or_else(|| ApiError::internal("a transaction of a watched script has no place"))?,
        more,
        cursor: cursor.to_string(),
        tip: tip.map(block),
        complete,
    })
}

/// The addresses of a client by the hashes of their scripts.
pub(crate) fn addresses(state: &State, client: &ClientId) -> BTreeMap<ScriptHash, String> {
    let watched = state.read_model.watched_scripts();
    watched
        .list(client, None, state.config.watched_addresses_max)
        .iter()
        .map(|entry| {
            let address = name_of(&entry.target, state.config.network);
            (entry.target.hash(), address)
        })
        .collect()
}

fn transaction(
    record: &TransactionRecord,
    tip: Option<BlockRef>,
    address: &str,
) -> Option<Transaction> {
    let history: Vec<TransactionStep> = record.steps.iter().map(transaction_step).collect();
    Some(Transaction {
        txid: record.txid.to_string(),
        address: address.to_owned(),
        received_sat: record.received_sat,
        spent_sat: record.spent_sat,
        status: transaction_status(record.place()?.state),
        depth: tip.and_then(|tip| record.depth(tip)),
        is_final: tip.is_some_and(|tip| record.is_final(tip)),
        mature: tip.and_then(|tip| record.is_mature(tip)),
        history,
    })
}

/// A step as it is shown.
pub(crate) fn transaction_step(step: &Step) -> TransactionStep {
    TransactionStep {
        position: step.position.to_string(),
        at: step.recorded_at.as_millis(),
        status: transaction_status(step.state),
    }
}

fn transaction_status(status: Status) -> TransactionStatus {
    match status {
        Status::Seen => TransactionStatus::Seen,
        Status::Confirmed { block: at } => TransactionStatus::Confirmed { block: block(at) },
        Status::DepthReached { depth, block: at } => TransactionStatus::DepthReached {
            depth,
            block: block(at),
        },
        Status::Matured { block: at } => TransactionStatus::Matured { block: block(at) },
        Status::Final { block: at } => TransactionStatus::Final { block: block(at) },
        Status::Unconfirmed { block: at } => TransactionStatus::Unconfirmed { block: block(at) },
        Status::Replaced { by, replaced_in } => TransactionStatus::Replaced {
            by: by.to_string(),
            replaced_in: match replaced_in {
                ReplacedIn::Mempool => "mempool".to_owned(),
                ReplacedIn::Block => "block".to_owned(),
            },
        },
        Status::Evicted => TransactionStatus::Evicted,
    }
}

fn block(block: BlockRef) -> Block {
    Block {
        height: block.height,
        hash: block.hash.to_string(),
    }
}
