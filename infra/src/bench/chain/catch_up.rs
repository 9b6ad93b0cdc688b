//! How fast a server catches up with a node, every block durable in the log, beside reading blocks
//! over JSON-RPC and building them, without a log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use satpost_domain::chain::BlockRef;
use satpost_domain::limits::FINAL_DEPTH_DEFAULT;
use satpost_domain::network::Network;
use tokio::sync::watch;

use super::coins::{FullChain, WATCHED};
use super::node::Node;
use super::server::Server;
use super::{quantile, synthetic};
use crate::bench::BenchError;
use crate::bench::bench_folder::{BenchFolder, discard};
use crate::bench::report::Report;
use crate::bitcoind::block_stream::{Wanted, scan_blocks};
use crate::bitcoind::check::genesis;
use crate::bitcoind::follower::Follower;
use crate::bitcoind::rpc::NodeRpc;
use crate::bitcoind::{NodeMetrics, NodeStatus};

/// How many blocks the slow way reads.
const BASELINE_BLOCKS: usize = 10;

pub(super) async fn run(
    node: &Node,
    chain: &FullChain,
    rounds: usize,
    folder: &mut BenchFolder,
    report: &mut Report,
) -> Result<(), BenchError> {
    let rpc: Arc<dyn NodeRpc> = Arc::new(node.rpc());
    let (mut ours, mut scans, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(catch_up(&rpc, chain, folder).await?);
        scans.push(scan(&rpc, chain).await?);
        theirs.push(by_rpc(rpc.as_ref(), chain).await?);
    }
    let baseline = quantile(&mut theirs, 0.5);
    let case = "catch-up";
    report.compared(
        case,
        "with the log",
        quantile(&mut ours, 0.5),
        "blocks/s",
        baseline,
    );
    report.compared(
        case,
        "search alone",
        quantile(&mut scans, 0.5),
        "blocks/s",
        baseline,
    );
    let hash = rpc
        .block_hash(chain.base + 1)
        .await
        .map_err(BenchError::of("the node"))?;
    if let Some(hash) = hash {
        let block = rpc
            .raw_block(hash)
            .await
            .map_err(BenchError::of("the node"))?;
        report.figure(case, "block", block.bytes.len() as f64 / 1e6, "MB");
        let spent = block.spent.map_or(0, |spent| spent.len());
        report.figure(case, "spent outputs", spent as f64 / 1e6, "MB");
    }
    Ok(())
}

/// What the server does when it has been away.
async fn catch_up(
    rpc: &Arc<dyn NodeRpc>,
    chain: &FullChain,
    folder: &mut BenchFolder,
) -> Result<f64, BenchError> {
    let run = folder.fresh()?;
    let server = Server::open(&run).await?;
    let metrics = NodeMetrics::register(&prometheus::Registry::new());
    let metrics = metrics.map_err(BenchError::of("the metrics"))?;
    let mut follower = Follower::new(
        Arc::clone(rpc),
        server.handler.clone(),
        Network::Regtest,
        FINAL_DEPTH_DEFAULT,
        Arc::clone(&server.read_model),
        metrics,
    );
    let of = || BenchError::of::<crate::bitcoind::follower::FollowError>("the follower");
    let height = chain.base;
    let hash = rpc
        .block_hash(height)
        .await
        .map_err(BenchError::of("the node"))?;
    let hash = hash.ok_or_else(|| BenchError::of("the node")("a block is gone"))?;
    let tip = BlockRef { height, hash };
    follower
        .start(genesis(Network::Regtest), tip)
        .await
        .map_err(of())?;
    let (status, _) = watch::channel(NodeStatus::Connecting);
    let start = Instant::now();
    follower.follow_headers(&status).await.map_err(of())?;
    let seconds = start.elapsed().as_secs_f64();
    let followed = follower.tip().await.map_err(of())?.height - height;
    drop(follower);
    server.stop().await;
    discard(&run)?;
    Ok(f64::from(followed) / seconds)
}

/// What a search of history does.
async fn scan(rpc: &Arc<dyn NodeRpc>, chain: &FullChain) -> Result<f64, BenchError> {
    let scripts: HashMap<Vec<u8>, _> = (0..WATCHED)
        .map(|number| {
            let script = synthetic::script(number).into_bytes();
            let hash = satpost_domain::script::Script::new(&script).map(|script| script.hash());
            (script, hash.ok())
        })
        .collect();
    let last = chain.base + chain.count as u32;
    let wanted = Wanted::Heights(chain.base + 1..=last);
    let start = Instant::now();
    let look_up = move |script: &[u8]| scripts.get(script).copied().flatten();
    let mut blocks = scan_blocks(Arc::clone(rpc), wanted, look_up, HashMap::new());
    let mut sightings = 0;
    while let Some(scanned) = blocks.next().await {
        sightings += scanned
            .map_err(BenchError::of("the search"))?
            .sightings
            .len();
    }
    if sightings < chain.count {
        return Err(BenchError::of("the search")("it finds too little"));
    }
    Ok(chain.count as f64 / start.elapsed().as_secs_f64())
}

/// The baseline: blocks as text over JSON-RPC, every transaction built, every id computed.
async fn by_rpc(rpc: &dyn NodeRpc, chain: &FullChain) -> Result<f64, BenchError> {
    let count = BASELINE_BLOCKS.min(chain.count);
    let start = Instant::now();
    for height in (chain.base + 1..).take(count) {
        let of = BenchError::of("the node");
        let hash = rpc.block_hash(height).await.map_err(of)?;
        if let Some(hash) = hash {
            let block = rpc.block(hash).await.map_err(BenchError::of("the node"))?;
            for transaction in &block.txdata {
                std::hint::black_box(transaction.compute_txid());
            }
        }
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
