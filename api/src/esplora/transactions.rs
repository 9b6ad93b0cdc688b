//! `/tx/...`: transactions, their proofs, and what spends them.

use bitcoin::consensus::encode::{serialize, serialize_hex};
use bitcoin::{MerkleBlock, OutPoint, Txid};
use satpost_api_types::esplora::{MerkleProof, OutputSpend};
use satpost_domain::limits::ESPLORA_TXIDS_PER_REQUEST_MAX;

use super::answer::{Answer, Keep, Outcome};
use super::call::Call;
use super::error::EsploraError;
use super::ports::{BlockPlace, BlockSummary, FoundTransaction};
use super::proofs::branch;
use super::shapes;
use crate::address::bitcoin_network;

const NOT_FOUND: &str = "Transaction not found";
const NOT_CONFIRMED: &str = "Transaction not found or is unconfirmed";

pub(super) async fn get_transaction(call: &mut Call) -> Outcome {
    let (found, keep) = find(call).await?;
    let network = bitcoin_network(call.state().config.network);
    Ok(Answer::json(&shapes::transaction(&found, network), keep))
}

/// An unknown transaction is an unconfirmed one here, as clients expect.
pub(super) async fn get_transaction_status(call: &mut Call) -> Outcome {
    let place = call.chain().place_of(call.txid()?).await?.flatten();
    let keep = call.keep_by_depth(place.map(|place| place.height)).await?;
    Ok(Answer::json(&shapes::status(place.as_ref()), keep))
}

pub(super) async fn get_transaction_hex(call: &mut Call) -> Outcome {
    let (found, keep) = find(call).await?;
    Ok(Answer::text(
        serialize_hex(found.transaction.as_ref()),
        keep,
    ))
}

pub(super) async fn get_raw_transaction(call: &mut Call) -> Outcome {
    let (found, keep) = find(call).await?;
    let bytes = serialize(found.transaction.as_ref());
    Ok(Answer::binary(bytes.into(), keep))
}

pub(super) async fn get_merkle_proof(call: &mut Call) -> Outcome {
    let (txid, place, block) = find_confirmed(call).await?;
    let position = block.txids.iter().position(|other| *other == txid);
    let position = position.ok_or_else(|| EsploraError::not_found(NOT_CONFIRMED))?;
    let branch = branch(&block.txids, position);
    let proof = MerkleProof {
        block_height: place.height,
        merkle: branch.iter().map(Txid::to_string).collect(),
        pos: position,
    };
    let keep = call.keep_by_depth(Some(place.height)).await?;
    Ok(Answer::json(&proof, keep))
}

pub(super) async fn get_merkleblock_proof(call: &mut Call) -> Outcome {
    let (txid, place, block) = find_confirmed(call).await?;
    let proof =
        MerkleBlock::from_header_txids_with_predicate(&block.header, &block.txids, |other| {
            *other == txid
        });
    let keep = call.keep_by_depth(Some(place.height)).await?;
    Ok(Answer::text(serialize_hex(&proof), keep))
}

/// An unknown output is an unspent one here, as clients expect.
pub(super) async fn get_outspend(call: &mut Call) -> Outcome {
    let outpoint = OutPoint::new(call.txid()?, call.number("vout")?);
    let spends = call.chain().spends(&[outpoint]).await?;
    let spend = spends.into_iter().next().flatten();
    let height = spend
        .and_then(|spend| spend.place)
        .map(|place| place.height);
    let keep = call.keep_by_depth(height).await?;
    Ok(Answer::json(&shapes::spend(spend.as_ref()), keep))
}

pub(super) async fn list_outspends(call: &mut Call) -> Outcome {
    let spends = outspends(call, call.txid()?).await?;
    let spends = spends.ok_or_else(|| EsploraError::not_found(NOT_FOUND))?;
    Ok(Answer::json(&spends, Keep::Short))
}

/// An unknown transaction has no outputs here, so that the lists stay in the order of the question.
pub(super) async fn list_outspends_of_many(call: &mut Call) -> Outcome {
    let list = call.parameter("txids").unwrap_or_default();
    let txids: Vec<&str> = list.split(',').filter(|text| !text.is_empty()).collect();
    if txids.is_empty() {
        return Err(EsploraError::bad("No txids specified"));
    }
    if txids.len() > ESPLORA_TXIDS_PER_REQUEST_MAX {
        return Err(EsploraError::bad("Too many txids requested"));
    }
    let mut all = Vec::with_capacity(txids.len());
    for text in txids {
        let txid = text
            .parse()
            .map_err(|_| EsploraError::bad("Invalid hex string"))?;
        all.push(outspends(call, txid).await?.unwrap_or_default());
    }
    Ok(Answer::json(&all, Keep::Short))
}

async fn outspends(call: &Call, txid: Txid) -> Result<Option<Vec<OutputSpend>>, EsploraError> {
    let Some(found) = call.chain().transaction(txid).await? else {
        return Ok(None);
    };
    let outpoints: Vec<OutPoint> = (0..)
        .zip(&found.transaction.output)
        .map(|(vout, _)| OutPoint::new(txid, vout))
        .collect();
    let spends = call.chain().spends(&outpoints).await?;
    let spends = spends.iter().map(|spend| shapes::spend(spend.as_ref()));
    Ok(Some(spends.collect()))
}

async fn find(call: &Call) -> Result<(FoundTransaction, Keep), EsploraError> {
    let found = call.chain().transaction(call.txid()?).await?;
    let found = found.ok_or_else(|| EsploraError::not_found(NOT_FOUND))?;
    let keep = call
        .keep_by_depth(found.place.map(|place| place.height))
        .await?;
    Ok((found, keep))
}

async fn find_confirmed(
    call: &Call,
) -> Result<(Txid, BlockPlace, std::sync::Arc<BlockSummary>), EsploraError> {
    let txid = call.txid()?;
    let absent = || EsploraError::not_found(NOT_CONFIRMED);
    let place = call.chain().place_of(txid).await?;
    let place = place.flatten().ok_or_else(absent)?;
    let block = call.chain().block(place.hash).await?.ok_or_else(absent)?;
    Ok((txid, place, block))
}
