//! One pass over the blocks of the past.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use satpost_commands::CommandError;
use satpost_commands::record_chain::record_chain;
use satpost_domain::chain::{
    BlockRef, Chain, ChainCommand, ChainError, Coin, HistoryCommand, OutPoint, Sighting,
};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::{
    BACKFILL_FILTER_BLOCKS_MAX, BACKFILL_FILTERED_SCRIPTS_MAX, BACKFILL_SCRIPTS_PER_COMMAND_MAX,
};
use satpost_domain::script::Script;
use satpost_domain::watchlist::WatchTarget;
use satpost_domain::{Position, StreamId};
use satpost_projections::coins::Origin;
use tokio::time::Instant;

use super::recorder::Recorder;
use super::{BackfillError, Backfiller};
use crate::bitcoind::block_search;
use crate::bitcoind::block_stream::{Wanted, fetch_blocks};
use crate::bitcoind::rpc::{NodeRpc, RawBlock, RpcError};

/// How many blocks the first question about filters covers.
const FILTER_BLOCKS_FIRST: u32 = 1_000;
/// A question about filters covers twice as many blocks when the last one was answered faster.
const FILTER_ANSWER_FAST: Duration = Duration::from_secs(1);
/// ... and half as many when it took longer.
const FILTER_ANSWER_SLOW: Duration = Duration::from_secs(5);
/// How many outpoints one question names.
pub(super) const OUTPOINTS_PER_CALL: usize = 500;

/// A pass that is open in the log.
pub(super) struct Pass<'a> {
    pub(super) backfiller: &'a Backfiller,
    pub(super) scripts: BTreeSet<ScriptHash>,
    /// Of the scripts: what may be spent, for nodes that do not tell what a block spends.
    coins: HashMap<OutPoint, Coin>,
    recorder: Recorder,
    filter_blocks: u32,
}

/// Where the log stands.
pub(super) struct Standing {
    pub(super) from: u32,
    next: u32,
    wanted: u32,
    pub(super) tip: BlockRef,
    /// The block before the next one, when it is remembered.
    last: Option<BlockRef>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(backfiller: &'a Backfiller) -> Self {
        Self {
            backfiller,
            scripts: BTreeSet::new(),
            coins: HashMap::new(),
            recorder: Recorder::default(),
            filter_blocks: FILTER_BLOCKS_FIRST,
        }
    }

    /// Reads on from where the log stands, until the scripts have their history.
    pub(super) async fn run(mut self) -> Result<(), BackfillError> {
        let Some(standing) = self.load().await? else {
            return Ok(());
        };
        let metrics = &self.backfiller.metrics;
        metrics.began(self.scripts.len(), standing.next, standing.tip.height);
        let began = Instant::now();
        self.join().await;
        if standing.from > standing.wanted {
            self.find_coins(standing.from).await?;
        }
        self.read_to_tip().await?;
        // Everything of the past is recorded; from here on the watcher knows the coins.
        self.join().await;
        self.look_for_spenders().await?;
        let standing = self.read_to_tip_with_all_spends().await?;
        self.complete(&standing).await?;
        self.backfiller.metrics.ended();
        tracing::info!(
            backfill.scripts = self.scripts.len(),
            backfill.from = standing.from,
            backfill.through = standing.tip.height,
            backfill.seconds = began.elapsed().as_secs(),
            "a back-fill is complete"
        );
        Ok(())
    }

    /// Takes over the scripts of the open pass and their coins.
    async fn load(&mut self) -> Result<Option<Standing>, BackfillError> {
        let stream = StreamId::chain(self.backfiller.network);
        let chain = self.backfiller.handler.state::<Chain>(&stream).await?;
        let Some(open) = chain.backfill() else {
            return Ok(None);
        };
        self.scripts.clone_from(open.scripts());
        drop(chain);
        let standing = self.standing().await?;
        let coins = self.backfiller.read_model.coins();
        for script in &self.scripts {
            self.coins
                .extend(coins.unspent(script, None).map(|unspent| {
                    let coin = Coin {
                        script_hash: *script,
                        value_sat: unspent.value_sat,
                    };
                    (unspent.outpoint, coin)
                }));
        }
        Ok(Some(standing))
    }

    async fn standing(&self) -> Result<Standing, BackfillError> {
        let stream = StreamId::chain(self.backfiller.network);
        let chain = self.backfiller.handler.state::<Chain>(&stream).await?;
        let (Some(open), Some(tip)) = (chain.backfill(), chain.tip()) else {
            return Err(CommandError::Rejected(ChainError::NoBackfill).into());
        };
        let last = chain
            .recent_blocks()
            .find(|block| block.height + 1 == open.next());
        Ok(Standing {
            from: open.from(),
            next: open.next(),
            wanted: open.wanted(),
            tip,
            last,
        })
    }

    /// Waits until the watcher matches with everything that is in the log now.
    async fn join(&self) {
        let position = self.backfiller.read_model.position();
        let position = position.max(self.recorder.position);
        self.backfiller.until_visible(position).await;
        self.backfiller.join.until(position).await;
    }

    /// Reads every block up to the tip of the log.
    async fn read_to_tip(&mut self) -> Result<Standing, BackfillError> {
        loop {
            let standing = self.standing().await?;
            self.backfiller.metrics.target(standing.tip.height);
            if standing.next > standing.tip.height {
                return Ok(standing);
            }
            match self.read(&standing).await {
                // The watcher is about to record it, or has; what was taken back is read again.
                Err(BackfillError::Reorganised { height }) => {
                    tracing::debug!(block.height = height, "history changed while it was read");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(BackfillError::Record(CommandError::Rejected(
                    ChainError::NotInChain { block } | ChainError::BackfillOrder { block, .. },
                ))) => {
                    tracing::debug!(
                        block.height = block.height,
                        "history changed while it was recorded"
                    );
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(BackfillError::Node(RpcError::NoBlock { .. })) => self.rise(&standing).await?,
                other => other?,
            }
        }
    }

    /// Reads every block up to the tip of the log, and lets go of what was spent in blocks that nobody
    /// can read.
    async fn read_to_tip_with_all_spends(&mut self) -> Result<Standing, BackfillError> {
        loop {
            let standing = self.read_to_tip().await?;
            if standing.from <= standing.wanted || self.drop_spent_coins(&standing).await? {
                return Ok(standing);
            }
            // A block is on its way.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Reads some blocks.
    async fn read(&mut self, standing: &Standing) -> Result<(), BackfillError> {
        self.recorder.forget();
        if self.nobody_watches() {
            // All of them were unwatched meanwhile, and have no history to wait for.
            let tip = Some(standing.tip);
            return self.recorder.append(self.backfiller, tip).await;
        }
        let scripts = self.scripts_for_filters();
        let filtered_to = match scripts.is_empty() {
            true => None,
            false => self.backfiller.rpc.filters_through().await?,
        };
        match filtered_to.filter(|through| *through >= standing.next) {
            Some(through) => {
                let to = standing
                    .next
                    .saturating_add(self.filter_blocks - 1)
                    .min(standing.tip.height)
                    .min(through);
                self.read_filtered(&scripts, standing.next, to).await
            }
            None => self.read_all(standing.next, standing.tip.height).await,
        }
    }

    /// The scripts, when they are few enough to be looked for by filters and none is known by its
    /// hash only.
    fn scripts_for_filters(&self) -> Vec<Script> {
        if self.scripts.len() > BACKFILL_FILTERED_SCRIPTS_MAX {
            return Vec::new();
        }
        self.watched_scripts().unwrap_or_default()
    }

    fn nobody_watches(&self) -> bool {
        let watched = self.backfiller.read_model.watched_scripts();
        !self.scripts.iter().any(|script| watched.is_watched(script))
    }

    /// The scripts that are still watched; nothing when one is known by its hash only.
    fn watched_scripts(&self) -> Option<Vec<Script>> {
        let targets = self.watched_targets().into_iter();
        targets.map(|target| target.script().cloned()).collect()
    }

    fn watched_targets(&self) -> Vec<WatchTarget> {
        let watched = self.backfiller.read_model.watched_scripts();
        let targets = self.scripts.iter().flat_map(|hash| watched.targets(hash));
        targets.collect()
    }

    /// Reads the blocks that the filters point to.
    async fn read_filtered(
        &mut self,
        scripts: &[Script],
        from: u32,
        to: u32,
    ) -> Result<(), BackfillError> {
        let rpc = Arc::clone(&self.backfiller.rpc);
        let reorganised = BackfillError::Reorganised { height: to };
        let Some(last) = rpc.block_hash(to).await? else {
            return Err(reorganised);
        };
        let asked = Instant::now();
        let mut blocks = rpc.blocks_touching(scripts, from, to).await?;
        let took = asked.elapsed();
        if took < FILTER_ANSWER_FAST {
            self.filter_blocks = (self.filter_blocks * 2).min(BACKFILL_FILTER_BLOCKS_MAX);
        } else if took > FILTER_ANSWER_SLOW {
            self.filter_blocks = (self.filter_blocks / 2).max(1);
        }
        blocks.retain(|block| (from..=to).contains(&block.height));
        let mut fetched = fetch_blocks(rpc.clone(), Wanted::Blocks(blocks));
        while let Some(block) = fetched.next().await {
            let (block, raw) = block?;
            let found = self.search(&raw)?;
            self.recorder.take(self.backfiller, block, found).await?;
        }
        // The same tip means the same blocks below it.
        if rpc.block_hash(to).await? != Some(last) {
            return Err(reorganised);
        }
        let through = BlockRef {
            height: to,
            hash: last,
        };
        self.recorder.append(self.backfiller, Some(through)).await
    }

    /// Reads every block.
    async fn read_all(&mut self, from: u32, to: u32) -> Result<(), BackfillError> {
        let rpc: Arc<dyn NodeRpc> = self.backfiller.rpc.clone();
        let mut fetched = fetch_blocks(rpc, Wanted::Heights(from..=to));
        let mut last: Option<BlockRef> = None;
        while let Some(block) = fetched.next().await {
            let (block, raw) = block?;
            let previous = raw.header()?.previous;
            if last.is_some_and(|last| last.hash != previous) {
                return Err(BackfillError::Reorganised {
                    height: block.height,
                });
            }
            let found = self.search(&raw)?;
            self.recorder.take(self.backfiller, block, found).await?;
            if self.recorder.is_due() {
                self.recorder.append(self.backfiller, Some(block)).await?;
            }
            last = Some(block);
            // The search of a block takes milliseconds, and others want the thread.
            tokio::task::yield_now().await;
        }
        match last {
            Some(last) if last.height == to => {
                self.recorder.append(self.backfiller, Some(last)).await
            }
            _ => Err(BackfillError::Reorganised { height: to }),
        }
    }

    fn search(&mut self, block: &RawBlock) -> Result<Vec<Sighting>, BackfillError> {
        let found = {
            let watched = self.backfiller.read_model.watched_scripts();
            block_search::search(
                block,
                |script| {
                    let hash = watched.lookup(script)?;
                    self.scripts.contains(&hash).then_some(hash)
                },
                |outpoint| self.coins.get(outpoint).copied(),
            )?
        };
        for sighting in &found.sightings {
            for touch in &sighting.touches {
                self.coins.extend(touch.outputs.iter().map(|(vout, value)| {
                    let outpoint = OutPoint {
                        txid: sighting.txid,
                        vout: *vout,
                    };
                    let coin = Coin {
                        script_hash: touch.script_hash,
                        value_sat: *value,
                    };
                    (outpoint, coin)
                }));
            }
        }
        Ok(found.sightings)
    }

    /// The node has pruned the next block meanwhile: history begins where it has blocks again.
    async fn rise(&mut self, standing: &Standing) -> Result<(), BackfillError> {
        let from = self.backfiller.rpc.lowest_block().await?;
        if from <= standing.next {
            // It is not pruned but gone, so the chain changes.
            tokio::time::sleep(Duration::from_millis(250)).await;
            return Ok(());
        }
        tracing::warn!(
            backfill.from = from,
            "the node has pruned blocks that history was to be read from; history begins above them"
        );
        self.tell(HistoryCommand::Raise { from }).await?;
        self.find_coins(from).await
    }

    /// Takes the coins from below `from` out of the node's set of unspent outputs.
    async fn find_coins(&mut self, from: u32) -> Result<(), BackfillError> {
        let targets = self.watched_targets();
        let scripts: Vec<Script> = targets
            .iter()
            .filter_map(|target| target.script().cloned())
            .collect();
        if scripts.len() < targets.len() {
            tracing::warn!(
                backfill.hashes = targets.len() - scripts.len(),
                "scripts that are known by their hash only cannot be looked up among unspent outputs"
            );
        }
        for scripts in scripts.chunks(BACKFILL_FILTERED_SCRIPTS_MAX * 4) {
            let found = self.backfiller.rpc.unspent_outputs(scripts).await?;
            let coins: Vec<_> = found
                .into_iter()
                .filter(|found| found.height < from)
                .map(|found| {
                    let coin = Coin {
                        script_hash: found.script.hash(),
                        value_sat: found.value_sat,
                    };
                    (found.outpoint, coin, found.height, found.coinbase)
                })
                .collect();
            let known = coins.iter().map(|(outpoint, coin, ..)| (*outpoint, *coin));
            self.coins.extend(known);
            for coins in coins.chunks(BACKFILL_SCRIPTS_PER_COMMAND_MAX) {
                let coins = coins.to_vec();
                self.tell(HistoryCommand::FindCoins { coins }).await?;
            }
        }
        Ok(())
    }

    /// Has the watcher look at mempool transactions that spend coins of the past.
    async fn look_for_spenders(&self) -> Result<(), BackfillError> {
        let outpoints: Vec<OutPoint> = {
            let coins = self.backfiller.read_model.coins();
            let unspent = self
                .scripts
                .iter()
                .flat_map(|script| coins.unspent(script, None));
            unspent
                .filter(|coin| matches!(coin.origin, Origin::Block { .. }))
                .map(|coin| coin.outpoint)
                .collect()
        };
        for outpoints in outpoints.chunks(OUTPOINTS_PER_CALL) {
            let spenders = self.backfiller.rpc.mempool_spenders(outpoints).await?;
            self.backfiller.join.look_at(&spenders);
        }
        Ok(())
    }

    async fn complete(&mut self, standing: &Standing) -> Result<(), BackfillError> {
        self.backfiller.join.until_looked_at().await;
        // A birthday above the tip leaves nothing to read.
        let through = standing.last.unwrap_or(standing.tip);
        let at = self.backfiller.handler.now();
        self.tell(HistoryCommand::Complete { through, at }).await
    }

    pub(super) async fn tell(&mut self, command: HistoryCommand) -> Result<(), BackfillError> {
        let command = ChainCommand::History(command);
        let outcome =
            record_chain(&self.backfiller.handler, self.backfiller.network, &command).await?;
        self.recorder.position = outcome.position;
        self.backfiller.until_visible(outcome.position).await;
        Ok(())
    }
}

impl Backfiller {
    /// Waits until readers see `position`, however long the projections take.
    pub(super) async fn until_visible(&self, position: Position) {
        while !self
            .read_model
            .wait_for(position, Duration::from_secs(10))
            .await
        {
            tracing::debug!(log.position = %position, "the back-fill waits for the projections");
        }
    }
}
