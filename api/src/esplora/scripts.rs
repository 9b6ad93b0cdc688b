//! `/address/...`, `/scripthash/...`: what happened to a script.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, AddressType, Txid};
use satpost_api_types::esplora::{Transaction, Utxo, ValidatedAddress};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::{
    ESPLORA_CONFIRMED_PER_PAGE, ESPLORA_SCRIPTS_PER_REQUEST_MAX, ESPLORA_TRANSACTIONS_PER_PAGE_MAX,
    ESPLORA_UNCONFIRMED_PER_PAGE,
};
use serde_json::json;

use super::answer::{Answer, Keep, Outcome};
use super::call::{Call, parse_script_hash};
use super::error::EsploraError;
use super::ports::FoundTransaction;
use super::shapes;
use crate::address::bitcoin_network;

pub(super) async fn get_script(call: &mut Call) -> Outcome {
    let (chain, mempool) = call.chain().totals(call.script()?).await?;
    let (kind, given) = match call.part("address") {
        "" => ("scripthash", call.part("scripthash")),
        address => ("address", address),
    };
    let body = json!({ kind: given, "chain_stats": chain, "mempool_stats": mempool });
    Ok(Answer::json(&body, Keep::Short))
}

/// The first page of a wallet; with `after_txid` any page.
pub(super) async fn list_transactions(call: &mut Call) -> Outcome {
    let scripts = [call.script()?];
    let found = page(call, &scripts).await?;
    Ok(shown(call, &found))
}

pub(super) async fn list_transactions_of_addresses(call: &mut Call) -> Outcome {
    let addresses = bounded(call.list().await?)?;
    let scripts: Result<Vec<_>, _> = addresses.iter().map(|text| call.address(text)).collect();
    let found = page(call, &scripts?).await?;
    Ok(shown(call, &found))
}

pub(super) async fn list_transactions_of_scripthashes(call: &mut Call) -> Outcome {
    let hashes = bounded(call.list().await?)?;
    let scripts: Result<Vec<_>, _> = hashes.iter().map(|text| parse_script_hash(text)).collect();
    let found = page(call, &scripts?).await?;
    Ok(shown(call, &found))
}

fn bounded(list: Vec<String>) -> Result<Vec<String>, EsploraError> {
    if list.len() > ESPLORA_SCRIPTS_PER_REQUEST_MAX {
        return Err(EsploraError::unprocessable("body too long"));
    }
    Ok(list)
}

/// A transaction id that is none counts as absent, as clients expect.
pub(super) async fn list_confirmed(call: &mut Call) -> Outcome {
    let last_seen = Txid::from_str(call.part("last_seen")).ok();
    let found = call
        .chain()
        .confirmed_of(call.script()?, last_seen, ESPLORA_CONFIRMED_PER_PAGE)
        .await?;
    Ok(shown(call, &found))
}

pub(super) async fn list_unconfirmed(call: &mut Call) -> Outcome {
    let found = call
        .chain()
        .unconfirmed_of(call.script()?, ESPLORA_UNCONFIRMED_PER_PAGE)
        .await?;
    Ok(shown(call, &found))
}

pub(super) async fn list_unspent(call: &mut Call) -> Outcome {
    let max = call.state().config.unspent_max;
    let unspent = call.chain().unspent_of(call.script()?, max).await?;
    let utxos: Vec<Utxo> = unspent.iter().map(shapes::utxo).collect();
    Ok(Answer::json(&utxos, Keep::Short))
}

/// A list of all addresses by prefix would tell who is watched, so nobody gets one.
pub(super) async fn search_addresses(_call: &mut Call) -> Outcome {
    Err(EsploraError::bad("address search disabled"))
}

fn shown(call: &Call, found: &[FoundTransaction]) -> Answer {
    let network = bitcoin_network(call.state().config.network);
    let transactions: Vec<Transaction> = found
        .iter()
        .map(|found| shapes::transaction(found, network))
        .collect();
    Answer::json(&transactions, Keep::Short)
}

/// Mempool transactions, then confirmed ones, newest first, each once: after `after_txid` when the
/// client names one, and `max_txs` of them when it says so.
async fn page(call: &Call, scripts: &[ScriptHash]) -> Result<Vec<FoundTransaction>, EsploraError> {
    let asked = call.parameter("max_txs").and_then(|text| text.parse().ok());
    let asked = asked.map(|max: usize| max.clamp(1, ESPLORA_TRANSACTIONS_PER_PAGE_MAX));
    let confirmed_max = asked.unwrap_or(ESPLORA_CONFIRMED_PER_PAGE);
    let after = match call.parameter("after_txid") {
        None => None,
        Some(text) => Some(
            text.parse::<Txid>()
                .map_err(|_| EsploraError::bad("Invalid hex string"))?,
        ),
    };
    let after_is_confirmed = match after {
        None => false,
        Some(after) => call
            .chain()
            .place_of(after)
            .await?
            .ok_or_else(|| EsploraError::unprocessable("after_txid not found"))?
            .is_some(),
    };
    // The mempool is read first: what is confirmed meanwhile is found in the chain.
    let mut unconfirmed = Vec::new();
    if !after_is_confirmed {
        unconfirmed = unconfirmed_of_all(call, scripts).await?;
        if let Some(after) = after {
            let place = unconfirmed.iter().position(|found| found.txid == after);
            let place = place.ok_or_else(|| EsploraError::unprocessable("after_txid not found"))?;
            unconfirmed.drain(..=place);
        }
    }
    let after = after.filter(|_| after_is_confirmed);
    let confirmed = confirmed_of_all(call, scripts, after, confirmed_max).await?;
    let in_blocks: BTreeSet<Txid> = confirmed.iter().map(|found| found.txid).collect();
    unconfirmed.retain(|found| !in_blocks.contains(&found.txid));
    unconfirmed.extend(confirmed);
    unconfirmed.truncate(asked.unwrap_or(usize::MAX));
    Ok(unconfirmed)
}

async fn unconfirmed_of_all(
    call: &Call,
    scripts: &[ScriptHash],
) -> Result<Vec<FoundTransaction>, EsploraError> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for script in scripts {
        let found = call
            .chain()
            .unconfirmed_of(*script, ESPLORA_UNCONFIRMED_PER_PAGE)
            .await?;
        all.extend(found.into_iter().filter(|found| seen.insert(found.txid)));
    }
    all.truncate(ESPLORA_UNCONFIRMED_PER_PAGE);
    Ok(all)
}

/// Each script's page is sorted already, by place in the chain; equal heights keep that order.
async fn confirmed_of_all(
    call: &Call,
    scripts: &[ScriptHash],
    after: Option<Txid>,
    max: usize,
) -> Result<Vec<FoundTransaction>, EsploraError> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for script in scripts {
        let found = call.chain().confirmed_of(*script, after, max).await?;
        all.extend(found.into_iter().filter(|found| seen.insert(found.txid)));
    }
    if scripts.len() > 1 {
        sort_newest_first(call, &mut all).await?;
    }
    all.truncate(max);
    Ok(all)
}

/// By block, and inside a block by place, which the block knows.
async fn sort_newest_first(
    call: &Call,
    found: &mut Vec<FoundTransaction>,
) -> Result<(), EsploraError> {
    let mut keyed = Vec::with_capacity(found.len());
    for transaction in found.drain(..) {
        let place = transaction.place.ok_or_else(|| {
            EsploraError::from(super::ports::QueryError::Broken(
                "a confirmed transaction without a block".to_owned(),
            ))
        })?;
        let block = call.chain().block(place.hash).await?;
        let txid = transaction.txid;
        let index = block.and_then(|block| block.txids.iter().position(|other| *other == txid));
        keyed.push(((place.height, index), transaction));
    }
    keyed.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
    found.extend(keyed.into_iter().map(|(_, transaction)| transaction));
    Ok(())
}

pub(super) async fn validate_address(call: &mut Call) -> Outcome {
    let network = bitcoin_network(call.state().config.network);
    let address = Address::<NetworkUnchecked>::from_str(call.part("address"))
        .ok()
        .and_then(|address| address.require_network(network).ok());
    let program = address.as_ref().and_then(Address::witness_program);
    let answer = ValidatedAddress {
        isvalid: address.is_some(),
        script_pubkey: address
            .as_ref()
            .map(|address| address.script_pubkey().to_hex_string()),
        isscript: address
            .as_ref()
            .map(|address| address.address_type() == Some(AddressType::P2sh)),
        iswitness: address.as_ref().map(|_| program.is_some()),
        witness_version: program.map(|program| program.version().to_num()),
        witness_program: program.map(|program| hex::encode(program.program())),
        address: address.map(|address| address.to_string()),
    };
    Ok(Answer::json(&answer, Keep::Short))
}
