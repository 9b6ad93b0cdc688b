//! Against a node of a few blocks in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bitcoin::hashes::Hash as _;
use bitcoin::{Block, Transaction, TxOut};
use satpost_domain::ids::Txid;

use super::*;
use crate::bitcoind::rpc::{MempoolSnapshot, NodeInfo, Publication};
use crate::bitcoind::test_blocks::{block, coin, coinbase, output, raw, transaction};

const WATCHED: &[u8] = &[1; 22];
const OTHER: &[u8] = &[2; 22];

/// Has blocks and nothing else.
struct Blocks {
    blocks: Vec<RawBlock>,
    fetched: AtomicUsize,
}

impl Blocks {
    fn new(blocks: Vec<RawBlock>) -> Arc<Self> {
        Arc::new(Self {
            blocks,
            fetched: AtomicUsize::new(0),
        })
    }

    /// So many blocks, each on the one before.
    fn empty(count: u32) -> Arc<Self> {
        let mut previous = bitcoin::BlockHash::all_zeros();
        let blocks = (0..count).map(|number| {
            let mut block = block(previous, vec![coinbase(number)]);
            // Equal headers would have equal hashes.
            block.header.time = number;
            previous = block.block_hash();
            raw(&block, Some(&[vec![]]))
        });
        Self::new(blocks.collect())
    }

    fn refs(&self) -> Vec<BlockRef> {
        let blocks = (0..).zip(&self.blocks);
        let refs = blocks.map(|(height, block)| BlockRef {
            height,
            hash: block.hash,
        });
        refs.collect()
    }
}

fn unasked() -> RpcError {
    RpcError::Unexpected {
        method: "test",
        reason: "nobody asks this".to_owned(),
    }
}

#[async_trait]
impl NodeRpc for Blocks {
    async fn info(&self) -> Result<NodeInfo, RpcError> {
        Err(unasked())
    }

    async fn publications(&self) -> Result<Vec<Publication>, RpcError> {
        Err(unasked())
    }

    async fn best_block(&self) -> Result<BlockHash, RpcError> {
        Err(unasked())
    }

    async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, RpcError> {
        Ok(self.blocks.get(height as usize).map(|block| block.hash))
    }

    async fn is_in_best_chain(&self, _hash: BlockHash) -> Result<bool, RpcError> {
        Err(unasked())
    }

    async fn block(&self, _hash: BlockHash) -> Result<Block, RpcError> {
        Err(unasked())
    }

    async fn raw_block(&self, hash: BlockHash) -> Result<RawBlock, RpcError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let found = self.blocks.iter().find(|block| block.hash == hash);
        found.cloned().ok_or_else(|| RpcError::NoBlock {
            hash,
            reason: "pruned".to_owned(),
        })
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, RpcError> {
        Err(unasked())
    }

    async fn mempool_size(&self) -> Result<usize, RpcError> {
        Err(unasked())
    }

    async fn transactions(&self, _: &[Txid]) -> Result<Vec<Option<Transaction>>, RpcError> {
        Err(unasked())
    }

    async fn mempool_ancestors(&self, _: Txid) -> Result<Vec<Txid>, RpcError> {
        Err(unasked())
    }
}

fn script(script: &[u8]) -> Option<ScriptHash> {
    (script == WATCHED).then(|| ScriptHash::new([9; 32]))
}

async fn scanned(node: &Arc<Blocks>, wanted: Wanted) -> Vec<Result<ScannedBlock, StreamError>> {
    let rpc = Arc::clone(node) as Arc<dyn NodeRpc>;
    let mut blocks = scan_blocks(rpc, wanted, script, HashMap::new());
    let mut all = Vec::new();
    while let Some(scanned) = blocks.next().await {
        all.push(scanned);
    }
    all
}

fn heights(found: &[Result<ScannedBlock, StreamError>]) -> Vec<u32> {
    let blocks = found.iter().map(|scanned| scanned.as_ref().unwrap());
    blocks.map(|scanned| scanned.block.height).collect()
}

#[tokio::test]
async fn gives_the_blocks_of_a_range_in_order_and_ends_at_the_tip() {
    let node = Blocks::empty(1_203);
    let found = scanned(&node, Wanted::Heights(3..=u32::MAX)).await;
    assert_eq!(heights(&found), (3..1_203).collect::<Vec<_>>());
    let found = scanned(&node, Wanted::Heights(7..=9)).await;
    assert_eq!(heights(&found), [7, 8, 9]);
    assert!(
        scanned(&node, Wanted::Heights(1_203..=1_300))
            .await
            .is_empty()
    );
    #[expect(clippy::reversed_empty_ranges, reason = "nothing is wanted")]
    let nothing = Wanted::Heights(5..=4);
    assert!(scanned(&node, nothing).await.is_empty());
}

#[tokio::test]
async fn gives_chosen_blocks_in_their_order() {
    let node = Blocks::empty(9);
    let refs = node.refs();
    let found = scanned(&node, Wanted::Blocks(vec![refs[8], refs[2]])).await;
    assert_eq!(heights(&found), [8, 2]);
}

#[tokio::test]
async fn ends_where_the_chain_was_reorganised_while_it_was_read() {
    let node = Blocks::empty(6);
    let mut blocks = node.blocks.clone();
    blocks[3] = raw(
        &block(bitcoin::BlockHash::all_zeros(), vec![coinbase(99)]),
        None,
    );
    let found = scanned(&Blocks::new(blocks), Wanted::Heights(1..=5)).await;
    assert_eq!(heights(&found[..2]), [1, 2]);
    assert_eq!(found[2], Err(StreamError::Reorganised { height: 3 }));
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn ends_with_what_the_node_says_when_it_lacks_a_block() {
    let node = Blocks::empty(4);
    let mut refs = node.refs();
    refs[1].hash = BlockHash::new([0xab; 32]);
    let found = scanned(&node, Wanted::Blocks(refs)).await;
    assert!(found[0].is_ok());
    assert!(matches!(
        found[1..],
        [Err(StreamError::Node(RpcError::NoBlock { .. }))]
    ));
}

#[tokio::test]
async fn names_the_block_that_cannot_be_read() {
    let node = Blocks::empty(3);
    let mut blocks = node.blocks.clone();
    blocks[1].spent = Some(vec![7].into());
    let found = scanned(&Blocks::new(blocks), Wanted::Heights(0..=2)).await;
    let error = found[1].as_ref().unwrap_err().to_string();
    assert!(
        error.contains("at height 1") && error.contains("spent outputs"),
        "{error}"
    );
    assert_eq!(found.len(), 2);
}

/// A block that pays to the watched script, and one that spends that.
fn payment_and_spend(told: bool) -> Arc<Blocks> {
    let elsewhere = coin(&coinbase(77), 0);
    let payment = transaction(&[elsewhere], &[(WATCHED, 5)]);
    let spend = transaction(&[coin(&payment, 0)], &[(OTHER, 4)]);
    let spent = |output: TxOut| told.then(|| [vec![], vec![output]]);
    let first = block(bitcoin::BlockHash::all_zeros(), vec![coinbase(0), payment]);
    let second = block(first.block_hash(), vec![coinbase(1), spend]);
    Blocks::new(vec![
        raw(
            &first,
            spent(output((OTHER, 6))).as_ref().map(|spent| &spent[..]),
        ),
        raw(
            &second,
            spent(output((WATCHED, 5))).as_ref().map(|spent| &spent[..]),
        ),
    ])
}

#[tokio::test]
async fn finds_the_spend_of_a_coin_of_an_earlier_block_whether_the_node_tells_or_not() {
    for told in [true, false] {
        let found = scanned(&payment_and_spend(told), Wanted::Heights(0..=1)).await;
        let second = found[1].as_ref().unwrap();
        assert_eq!(second.sightings[0].touches[0].spent_sat, 5);
        assert_eq!(second.all_spends, told);
    }
}

#[tokio::test]
async fn fetches_no_more_than_it_may_ahead_and_nothing_for_nobody() {
    let node = Blocks::empty(200);
    let rpc = Arc::clone(&node) as Arc<dyn NodeRpc>;
    let mut blocks = fetch_blocks(rpc, Wanted::Heights(0..=199));
    let (first, _) = blocks.next().await.unwrap().unwrap();
    assert_eq!(first.height, 0);
    assert_eq!(
        blocks.next().await.unwrap().unwrap().1.hash,
        node.blocks[1].hash
    );
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let ahead = 2 + NODE_BLOCKS_AHEAD_MAX + 1 + FETCHES_AT_ONCE;
    assert!(node.fetched.load(Ordering::SeqCst) <= ahead);
    drop(blocks);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(node.fetched.load(Ordering::SeqCst) <= ahead + FETCHES_AT_ONCE);
}
