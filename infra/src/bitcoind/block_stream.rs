//! Many blocks one after another: fetched ahead of whoever takes them, and searched on a thread of
//! their own when that is all that is wanted.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use satpost_domain::chain::{BlockRef, Coin, OutPoint, Sighting};
use satpost_domain::ids::{BlockHash, ScriptHash};
use satpost_domain::limits::{NODE_BLOCKS_AHEAD_MAX, NODE_HASHES_PER_CALL_MAX};
use tokio::sync::mpsc;

use super::block_search;
use super::rpc::{NodeRpc, RawBlock, RpcError};
use super::scanner::MalformedBlock;

/// How many blocks are asked for at the same time. The node answers each on a thread of its own,
/// and reads the next from its disk while it sends one.
const FETCHES_AT_ONCE: usize = 2;

/// Why a stream of blocks ends before its last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] RpcError),
    /// What it gave is no block.
    #[error("block {} at height {} cannot be read: {malformed}", block.hash, block.height)]
    Malformed {
        /// Which was asked for.
        block: BlockRef,
        /// What is wrong with the answer.
        malformed: MalformedBlock,
    },
    /// A block does not stand on the one before it: the node left that one meanwhile.
    #[error("the chain was reorganised below height {height} while it was read")]
    Reorganised {
        /// The height of the block that does not fit.
        height: u32,
    },
}

/// Which blocks are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Those of the node's best chain, up to its tip at most. Each is checked to stand on the one
    /// before it.
    Heights(RangeInclusive<u32>),
    /// These, in this order.
    Blocks(Vec<BlockRef>),
}

/// Fetched blocks in the order in which they were wanted. Fetching ends when this is dropped.
pub struct FetchedBlocks {
    receiver: mpsc::Receiver<Result<(BlockRef, RawBlock), RpcError>>,
}

impl FetchedBlocks {
    /// The next block; nothing after the last, or after an error.
    pub async fn next(&mut self) -> Option<Result<(BlockRef, RawBlock), RpcError>> {
        self.receiver.recv().await
    }
}

/// Fetches blocks ahead of whoever takes them, by at most [`NODE_BLOCKS_AHEAD_MAX`].
#[must_use]
pub fn fetch_blocks(rpc: Arc<dyn NodeRpc>, wanted: Wanted) -> FetchedBlocks {
    let (sender, receiver) = mpsc::channel(NODE_BLOCKS_AHEAD_MAX);
    tokio::spawn(async move {
        if let Err(Stop::Failed(error)) = fetch(&rpc, wanted, &sender).await {
            // Whoever takes the blocks has gone when this fails.
            drop(sender.send(Err(error)).await);
        }
    });
    FetchedBlocks { receiver }
}

/// Why no more is fetched.
enum Stop {
    Failed(RpcError),
    /// Nobody takes the blocks any more.
    Unwanted,
}

impl From<RpcError> for Stop {
    fn from(error: RpcError) -> Self {
        Self::Failed(error)
    }
}

type Sender = mpsc::Sender<Result<(BlockRef, RawBlock), RpcError>>;

async fn fetch(rpc: &Arc<dyn NodeRpc>, wanted: Wanted, sender: &Sender) -> Result<(), Stop> {
    let (mut height, last) = match wanted {
        Wanted::Blocks(blocks) => return hand_over(rpc, blocks, sender).await,
        Wanted::Heights(heights) => (*heights.start(), *heights.end()),
    };
    while height <= last {
        let count = NODE_HASHES_PER_CALL_MAX.min((last - height).saturating_add(1));
        let hashes = rpc.block_hashes(height, count).await?;
        let at_tip = hashes.len() < count as usize;
        let blocks = (height..).zip(hashes);
        let blocks: Vec<BlockRef> = blocks
            .map(|(height, hash)| BlockRef { height, hash })
            .collect();
        hand_over(rpc, blocks, sender).await?;
        match height.checked_add(count) {
            Some(next) if !at_tip => height = next,
            _ => break,
        }
    }
    Ok(())
}

async fn hand_over(
    rpc: &Arc<dyn NodeRpc>,
    blocks: Vec<BlockRef>,
    sender: &Sender,
) -> Result<(), Stop> {
    let fetches = blocks
        .into_iter()
        .map(|block| fetch_one(Arc::clone(rpc), block));
    let mut fetched = stream::iter(fetches).buffered(FETCHES_AT_ONCE);
    while let Some(answer) = fetched.next().await {
        sender.send(Ok(answer?)).await.map_err(|_| Stop::Unwanted)?;
    }
    Ok(())
}

async fn fetch_one(
    rpc: Arc<dyn NodeRpc>,
    block: BlockRef,
) -> Result<(BlockRef, RawBlock), RpcError> {
    Ok((block, rpc.raw_block(block.hash).await?))
}

/// What was found in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedBlock {
    /// The block.
    pub block: BlockRef,
    /// The block before it.
    pub previous: BlockHash,
    /// The time in its header, in Unix seconds.
    pub time_secs: u32,
    /// What in it touches the scripts, by place in the block.
    pub sightings: Vec<Sighting>,
    /// True when every spend of the scripts was found. False when the node does not tell what a
    /// block spends: then only spends of coins that were known were found.
    pub all_spends: bool,
}

/// Searched blocks in the order in which they were wanted. Everything ends when this is dropped.
pub struct ScannedBlocks {
    receiver: mpsc::Receiver<Result<ScannedBlock, StreamError>>,
}

impl ScannedBlocks {
    /// What the next block has; nothing after the last, or after an error.
    pub async fn next(&mut self) -> Option<Result<ScannedBlock, StreamError>> {
        self.receiver.recv().await
    }
}

/// Searches many blocks for scripts that `script` knows, one thread fetching, one searching. `coins`
/// are those of the scripts made before the first block; they matter only with a node that does not
/// tell what a block spends, and those that are found on the way are added to them.
#[must_use]
pub fn scan_blocks<S>(
    rpc: Arc<dyn NodeRpc>,
    wanted: Wanted,
    script: S,
    coins: HashMap<OutPoint, Coin>,
) -> ScannedBlocks
where
    S: Fn(&[u8]) -> Option<ScriptHash> + Send + 'static,
{
    let in_order = matches!(wanted, Wanted::Heights(_));
    let mut blocks = fetch_blocks(rpc, wanted);
    let (sender, receiver) = mpsc::channel(NODE_BLOCKS_AHEAD_MAX);
    tokio::task::spawn_blocking(move || {
        let mut scan = Scan {
            script,
            coins,
            previous: None,
        };
        while let Some(fetched) = blocks.receiver.blocking_recv() {
            let scanned = fetched
                .map_err(StreamError::from)
                .and_then(|(at, block)| scan.block(at, &block, in_order));
            let failed = scanned.is_err();
            if sender.blocking_send(scanned).is_err() || failed {
                return;
            }
        }
    });
    ScannedBlocks { receiver }
}

/// A search over blocks one after another.
struct Scan<S> {
    script: S,
    coins: HashMap<OutPoint, Coin>,
    /// The last block.
    previous: Option<BlockHash>,
}

impl<S: Fn(&[u8]) -> Option<ScriptHash>> Scan<S> {
    fn block(
        &mut self,
        at: BlockRef,
        block: &RawBlock,
        in_order: bool,
    ) -> Result<ScannedBlock, StreamError> {
        let coins = &self.coins;
        let coin = |outpoint: &OutPoint| coins.get(outpoint).copied();
        let found = block_search::search(block, &self.script, coin).map_err(|malformed| {
            StreamError::Malformed {
                block: at,
                malformed,
            }
        })?;
        let header = found.header;
        if in_order && self.previous.is_some_and(|hash| hash != header.previous) {
            return Err(StreamError::Reorganised { height: at.height });
        }
        self.previous = Some(at.hash);
        let all_spends = block.spent.is_some();
        if !all_spends {
            self.coins.extend(coins_of(&found.sightings));
        }
        Ok(ScannedBlock {
            block: at,
            previous: header.previous,
            time_secs: header.time_secs,
            sightings: found.sightings,
            all_spends,
        })
    }
}

/// The coins that transactions made for the scripts they touch.
fn coins_of(sightings: &[Sighting]) -> impl Iterator<Item = (OutPoint, Coin)> + '_ {
    sightings.iter().flat_map(|sighting| {
        sighting.touches.iter().flat_map(move |touch| {
            touch.outputs.iter().map(move |(vout, value_sat)| {
                let outpoint = OutPoint {
                    txid: sighting.txid,
                    vout: *vout,
                };
                let coin = Coin {
                    script_hash: touch.script_hash,
                    value_sat: *value_sat,
                };
                (outpoint, coin)
            })
        })
    })
}

#[cfg(test)]
mod tests;
