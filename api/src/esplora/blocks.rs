//! `/block/...`, `/blocks/...`: blocks, also those that were taken back.

use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash as _;
use satpost_api_types::esplora::{Block, BlockStatus, Transaction};
use satpost_domain::limits::{ESPLORA_BLOCKS_PER_PAGE, ESPLORA_CONFIRMED_PER_PAGE};

use super::answer::{Answer, Keep, Outcome};
use super::call::Call;
use super::error::EsploraError;
use super::ports::BlockSummary;
use super::shapes;
use crate::address::bitcoin_network;

fn not_found() -> EsploraError {
    EsploraError::not_found("Block not found")
}

async fn find(call: &Call, hash: BlockHash) -> Result<Arc<BlockSummary>, EsploraError> {
    call.chain().block(hash).await?.ok_or_else(not_found)
}

pub(super) async fn get_block(call: &mut Call) -> Outcome {
    let block = find(call, call.block_hash()?).await?;
    Ok(Answer::json(&shapes::block(&block), Keep::Forever))
}

pub(super) async fn get_block_header(call: &mut Call) -> Outcome {
    let block = find(call, call.block_hash()?).await?;
    Ok(Answer::text(serialize_hex(&block.header), Keep::Forever))
}

/// An unknown block is a stale one here, as clients expect.
pub(super) async fn get_block_status(call: &mut Call) -> Outcome {
    let place = call.chain().place_of_block(call.block_hash()?).await?;
    let next = match place {
        Some(place) => call.chain().hash_at(place.height + 1).await?,
        None => None,
    };
    let height = place.map(|place| place.height);
    let status = BlockStatus {
        in_best_chain: place.is_some(),
        height,
        next_best: next.map(|hash| hash.to_string()),
    };
    Ok(Answer::json(&status, call.keep_by_depth(height).await?))
}

pub(super) async fn list_block_transactions(call: &mut Call) -> Outcome {
    let block = find(call, call.block_hash()?).await?;
    let start: usize = call.part("start").parse().unwrap_or(0);
    if !start.is_multiple_of(ESPLORA_CONFIRMED_PER_PAGE) {
        return Err(EsploraError::bad(format!(
            "start index must be a multiple of {ESPLORA_CONFIRMED_PER_PAGE}"
        )));
    }
    let out_of_range = || EsploraError::bad("start index out of range");
    let txids = block.txids.get(start..).filter(|rest| !rest.is_empty());
    let txids = txids.ok_or_else(out_of_range)?;
    let txids = &txids[..txids.len().min(ESPLORA_CONFIRMED_PER_PAGE)];
    let found = call.chain().block_transactions(block.hash, txids).await?;
    let network = bitcoin_network(call.state().config.network);
    let shown: Vec<Transaction> = found
        .iter()
        .map(|found| shapes::transaction(found, network))
        .collect();
    let place = call.chain().place_of_block(block.hash).await?;
    let keep = call.keep_by_depth(place.map(|place| place.height)).await?;
    Ok(Answer::json(&shown, keep))
}

pub(super) async fn list_block_txids(call: &mut Call) -> Outcome {
    let block = find(call, call.block_hash()?).await?;
    let txids: Vec<String> = block.txids.iter().map(ToString::to_string).collect();
    Ok(Answer::json(&txids, Keep::Forever))
}

pub(super) async fn get_block_txid(call: &mut Call) -> Outcome {
    let block = find(call, call.block_hash()?).await?;
    let index: usize = call
        .part("index")
        .parse()
        .map_err(|_| EsploraError::bad("Invalid number"))?;
    let txid = block.txids.get(index);
    let txid = txid.ok_or_else(|| EsploraError::not_found("tx index out of range"))?;
    Ok(Answer::text(txid.to_string(), Keep::Forever))
}

pub(super) async fn get_raw_block(call: &mut Call) -> Outcome {
    let bytes = call.chain().raw_block(call.block_hash()?).await?;
    Ok(Answer::binary(bytes.ok_or_else(not_found)?, Keep::Forever))
}

pub(super) async fn get_block_hash(call: &mut Call) -> Outcome {
    let height = call.number("height")?;
    let hash = call.chain().hash_at(height).await?.ok_or_else(not_found)?;
    let keep = call.keep_by_depth(Some(height)).await?;
    Ok(Answer::text(hash.to_string(), keep))
}

pub(super) async fn get_tip_height(call: &mut Call) -> Outcome {
    let tip = call.chain().tip().await?;
    Ok(Answer::text(tip.height.to_string(), Keep::Short))
}

pub(super) async fn get_tip_hash(call: &mut Call) -> Outcome {
    let tip = call.chain().tip().await?;
    Ok(Answer::text(tip.hash.to_string(), Keep::Short))
}

/// A start that is no number counts as none, as clients expect.
pub(super) async fn list_blocks(call: &mut Call) -> Outcome {
    let start = call.part("start").parse::<u32>().ok();
    let blocks = newest(call, start, ESPLORA_BLOCKS_PER_PAGE).await?;
    Ok(Answer::json(&blocks, Keep::Short))
}

async fn newest(call: &Call, start: Option<u32>, max: usize) -> Result<Vec<Block>, EsploraError> {
    let first = match start {
        Some(height) => call.chain().hash_at(height).await?.ok_or_else(not_found)?,
        None => call.chain().tip().await?.hash,
    };
    let mut blocks = Vec::with_capacity(max);
    let mut next = first;
    // Along the hashes, so that a page never mixes two branches.
    while blocks.len() < max && next.to_byte_array() != [0; 32] {
        let block = find(call, next).await?;
        next = block.header.prev_blockhash;
        blocks.push(shapes::block(&block));
    }
    Ok(blocks)
}
