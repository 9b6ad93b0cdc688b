//! Applies what the node announced to the log, one block or mempool change at a time.

use std::sync::Arc;

use bitcoin::Transaction;
use satpost_commands::record_chain::record_chain;
use satpost_commands::{CommandError, Handler};
use satpost_domain::StreamId;
use satpost_domain::chain::{
    BlockRef, Chain, ChainCommand, ChainError, ChainEvent, GapKind, RemovalCause, ReplacedIn,
};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::NODE_REMOVAL_HOLD;
use satpost_domain::network::Network;
use satpost_projections::ReadModel;
use tokio::time::Instant;

use super::books::{Books, Standing};
use super::convert;
use super::feed::Notice;
use super::mempool::{Claims, Mempool};
use super::metrics::NodeMetrics;
use super::rpc::{NodeRpc, RpcError};
use super::scanner::MalformedBlock;

mod audit;
mod blocks;
mod depths;
mod transactions;

pub use audit::Comparison;

/// How many removal holds a removal waits for while a block is on its way.
const HOLDS_FOR_A_BLOCK: u32 = 40;

/// Why the node cannot be followed any further for now.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] RpcError),
    /// The node gave something else for a block.
    #[error(transparent)]
    Malformed(#[from] MalformedBlock),
    /// The log did not take what was seen.
    #[error("what the node says cannot be recorded: {0}")]
    Record(#[from] CommandError<ChainError>),
}

/// The follower of one node.
pub struct Follower {
    pub(super) rpc: Arc<dyn NodeRpc>,
    handler: Handler,
    network: Network,
    final_depth: u32,
    stream: StreamId,
    pub(super) read_model: Arc<ReadModel>,
    pub(super) mempool: Mempool,
    pub(super) claims: Claims,
    pub(super) books: Books,
    /// Tracked transactions that left the mempool, until what took their place is known.
    pub(super) held: Vec<(Txid, Instant)>,
    /// The number of the last change of a watch list when the mempool was last searched.
    pub(super) scripts_searched: Option<u64>,
    metrics: NodeMetrics,
}

impl Follower {
    /// A follower that has seen nothing of the mempool yet.
    #[must_use]
    pub fn new(
        rpc: Arc<dyn NodeRpc>,
        handler: Handler,
        network: Network,
        final_depth: u32,
        read_model: Arc<ReadModel>,
        metrics: NodeMetrics,
    ) -> Self {
        Self {
            rpc,
            handler,
            network,
            final_depth,
            stream: StreamId::chain(network),
            read_model,
            mempool: Mempool::default(),
            claims: Claims::default(),
            books: Books::default(),
            held: Vec::new(),
            scripts_searched: None,
            metrics,
        }
    }

    /// The chain as it is in the log, as far as this process knows it.
    ///
    /// # Errors
    /// [`FollowError::Record`] when the log cannot be read.
    pub async fn chain(&self) -> Result<Arc<Chain>, FollowError> {
        Ok(self.handler.last_state::<Chain>(&self.stream).await?)
    }

    /// The chain as it is in the log, with what another server may have appended.
    pub(super) async fn chain_in_the_log(&self) -> Result<Arc<Chain>, FollowError> {
        Ok(self.handler.state::<Chain>(&self.stream).await?)
    }

    /// The tip in the log.
    ///
    /// # Errors
    /// [`FollowError::Record`] when the log cannot be read or the chain is not followed yet.
    pub async fn tip(&self) -> Result<BlockRef, FollowError> {
        let tip = self.chain().await?.tip();
        tip.ok_or_else(|| CommandError::Rejected(ChainError::NotStarted).into())
    }

    /// Records a command, and keeps the claims in step with the events.
    ///
    /// # Errors
    /// [`FollowError::Record`].
    pub async fn record(&mut self, command: &ChainCommand) -> Result<(), FollowError> {
        let outcome = record_chain(&self.handler, self.network, command).await?;
        let mut returned = Vec::new();
        for event in &outcome.events {
            match event {
                ChainEvent::TransactionSeen { txid, inputs, .. } => {
                    self.claims.add(*txid, *txid, inputs);
                }
                ChainEvent::TransactionUnconfirmed {
                    txid,
                    block,
                    was_final,
                    ..
                } => {
                    returned.push(*txid);
                    if *was_final {
                        self.alarm(*txid, *block);
                    }
                }
                ChainEvent::TransactionConfirmed { txid, .. }
                | ChainEvent::TransactionReplaced { txid, .. } => {
                    self.claims.remove(txid);
                    self.held.retain(|(held, _)| held != txid);
                }
                // Its claims stay: what took its place may still be found.
                ChainEvent::TransactionEvicted { txid, .. } => {
                    self.held.retain(|(held, _)| held != txid);
                }
                ChainEvent::EpochStarted { .. }
                | ChainEvent::BlockConnected { .. }
                | ChainEvent::BlockDisconnected { .. }
                | ChainEvent::DepthReached { .. }
                | ChainEvent::TransactionFinal { .. }
                | ChainEvent::CoinbaseMatured { .. }
                | ChainEvent::AuditPassed { .. }
                | ChainEvent::FeedGap { .. }
                | ChainEvent::FeedRestored { .. }
                | ChainEvent::History(_) => {}
            }
        }
        if !returned.is_empty() {
            let chain = self.chain().await?;
            for txid in returned {
                if let Some(tracked) = chain.tracked(&txid) {
                    self.claims.add(txid, txid, &tracked.inputs);
                }
            }
        }
        Ok(())
    }

    /// What was called final is not. Money that was thought settled may be gone.
    fn alarm(&self, txid: Txid, block: BlockRef) {
        self.metrics.final_taken_back();
        tracing::error!(
            transaction.id = %txid,
            block.height = block.height,
            block.hash = %block.hash,
            "a reorganisation has taken back a transaction that was final"
        );
    }

    /// Says in the log that something may have been missed.
    ///
    /// # Errors
    /// [`FollowError::Record`].
    pub async fn note_gap(&mut self, kind: GapKind) -> Result<(), FollowError> {
        let at = self.handler.now();
        self.record(&ChainCommand::NoteGap { kind, at }).await
    }

    /// Says in the log that it agrees with the node again.
    ///
    /// # Errors
    /// [`FollowError::Record`].
    pub async fn note_restored(&mut self) -> Result<(), FollowError> {
        let at = self.handler.now();
        self.record(&ChainCommand::NoteRestored { at }).await
    }

    /// Says in the log that a comparison with the node found nothing.
    ///
    /// # Errors
    /// [`FollowError::Record`].
    pub async fn note_audit(&mut self, blocks: u32) -> Result<(), FollowError> {
        let transactions = u32::try_from(self.mempool.len()).unwrap_or(u32::MAX);
        let at = self.handler.now();
        let audit = ChainCommand::NoteAudit {
            blocks,
            transactions,
            at,
        };
        self.record(&audit).await
    }

    /// Begins to follow the chain at `tip`.
    ///
    /// # Errors
    /// [`FollowError::Record`].
    pub async fn start(&mut self, genesis: BlockHash, tip: BlockRef) -> Result<(), FollowError> {
        let at = self.handler.now();
        self.record(&ChainCommand::Start { genesis, tip, at }).await
    }

    /// Applies one announcement; `replayed` when it may be older than what was last read from the
    /// node. Answers with a gap when the announcement shows that others are missing.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn apply(
        &mut self,
        notice: Notice,
        replayed: bool,
    ) -> Result<Option<GapKind>, FollowError> {
        match notice {
            Notice::Gap(kind) => return Ok(Some(kind)),
            // What came between the two connections was not announced to us.
            Notice::Opened => return Ok(Some(GapKind::Disconnected)),
            Notice::Added {
                txid,
                sequence,
                body,
            } => match self.books.added(sequence) {
                Standing::Past => return Ok(went_back(replayed)),
                Standing::Next => self.enter(txid, body).await?,
                Standing::Ahead => return Ok(Some(GapKind::Books)),
            },
            Notice::Removed { txid, sequence } => match self.books.removed(sequence) {
                Standing::Past => return Ok(went_back(replayed)),
                Standing::Next => self.leave(txid).await?,
                Standing::Ahead => return Ok(Some(GapKind::Books)),
            },
            Notice::Connected(hash) => return self.block_announced(hash).await,
            Notice::Disconnected(hash) => return self.block_withdrawn(hash, replayed).await,
        }
        Ok(None)
    }

    /// When the oldest held removal is over.
    #[must_use]
    pub fn held_until(&self) -> Option<Instant> {
        let (_, since) = self.held.first()?;
        // Numbers were skipped, so a block is on its way that may name what took the place.
        let holds = if self.books.awaits_block() {
            HOLDS_FOR_A_BLOCK
        } else {
            1
        };
        Some(*since + NODE_REMOVAL_HOLD * holds)
    }

    /// Ends the holds that are over: nothing took the place of these transactions.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn end_holds(&mut self) -> Result<(), FollowError> {
        let now = Instant::now();
        let over: Vec<Txid> = self
            .held
            .iter()
            .filter(|(_, since)| *since + NODE_REMOVAL_HOLD <= now)
            .map(|(txid, _)| *txid)
            .collect();
        self.let_go(|held| over.contains(held)).await
    }

    /// Reports the chosen held transactions as evicted.
    async fn let_go(&mut self, chosen: impl Fn(&Txid) -> bool) -> Result<(), FollowError> {
        let evicted = self.held.iter().map(|(txid, _)| *txid).filter(&chosen);
        let removals: Vec<_> = evicted.map(|txid| (txid, RemovalCause::Evicted)).collect();
        self.held.retain(|(txid, _)| !chosen(txid));
        self.remove(removals).await
    }

    pub(super) async fn remove(
        &mut self,
        removals: Vec<(Txid, RemovalCause)>,
    ) -> Result<(), FollowError> {
        if removals.is_empty() {
            return Ok(());
        }
        self.record(&ChainCommand::RemoveTransactions { removals })
            .await
    }

    /// Reports the tracked transactions whose place in the mempool `transaction` has taken.
    pub(super) async fn replace(
        &mut self,
        by: Txid,
        transaction: &Transaction,
    ) -> Result<(), FollowError> {
        let broken = self.claims.broken_by(by, &convert::inputs(transaction));
        let removals = broken.into_iter().map(|(txid, via)| {
            let cause = RemovalCause::Replaced {
                by,
                via,
                replaced_in: ReplacedIn::Mempool,
            };
            (txid, cause)
        });
        self.remove(removals.collect()).await
    }

    /// How many transactions the node's mempool has, by its announcements.
    #[must_use]
    pub fn mempool_size(&self) -> usize {
        self.mempool.len()
    }

    pub(super) fn now(&self) -> satpost_domain::Timestamp {
        self.handler.now()
    }
}

/// A change with a number that was passed long ago: the node counts anew.
fn went_back(replayed: bool) -> Option<GapKind> {
    (!replayed).then_some(GapKind::NodeRestart)
}
