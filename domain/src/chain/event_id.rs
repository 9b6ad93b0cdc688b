//! Ids of chain events, computed from their content so that two servers on two nodes give the
//! same events the same ids.

use crate::chain::{ChainEvent, GapKind, HistoryEvent};
use crate::hash::tagged_16;
use crate::ids::{BlockHash, EventId, ScriptHash, Txid};

/// What distinguishes events of one kind about one script and transaction.
enum Anchor<'a> {
    /// What a block says.
    Block(&'a BlockHash),
    /// What the mempool says: which stay of the transaction in it.
    Incarnation(u32),
    /// What only this server can say: when it did, and a detail.
    Moment(u64, u8),
}

/// The id of a chain event: the first 16 bytes of a tagged hash over the genesis hash, the kind
/// of event, the script hash, the transaction, and an anchor (the block for what a block says,
/// the incarnation for what the mempool says, the time for what only this server can say).
///
/// A block that is taken back and connected again gives the same events with the same ids again:
/// the id names what happened, the revision names which time it was.
#[must_use]
pub fn event_id(genesis: BlockHash, event: &ChainEvent) -> EventId {
    let (kind, about, anchor) = identity(event);
    let (script_hash, txid) = about.map_or(([0; 32], [0; 32]), |(script_hash, txid)| {
        (*script_hash.as_bytes(), *txid.as_bytes())
    });
    // The kind fixes the kind of anchor, so the parts cannot be read in two ways.
    let anchor = match anchor {
        Anchor::Block(hash) => hash.as_bytes().to_vec(),
        Anchor::Incarnation(incarnation) => incarnation.to_be_bytes().to_vec(),
        Anchor::Moment(millis, detail) => {
            let mut bytes = millis.to_be_bytes().to_vec();
            bytes.push(detail);
            bytes
        }
    };
    EventId::new(tagged_16(
        "satpost/chain-event/1",
        &[genesis.as_bytes(), &[kind], &script_hash, &txid, &anchor],
    ))
}

type About<'a> = Option<(&'a ScriptHash, &'a Txid)>;

/// The number of the kind (never reused), what the event is about, and its anchor.
fn identity(event: &ChainEvent) -> (u8, About<'_>, Anchor<'_>) {
    match event {
        ChainEvent::EpochStarted { tip, .. } => (1, None, Anchor::Block(&tip.hash)),
        ChainEvent::BlockConnected { block, .. } => (2, None, Anchor::Block(&block.hash)),
        ChainEvent::BlockDisconnected { block } => (3, None, Anchor::Block(&block.hash)),
        ChainEvent::TransactionSeen {
            txid,
            touch,
            incarnation,
            ..
        } => (
            4,
            Some((&touch.script_hash, txid)),
            Anchor::Incarnation(*incarnation),
        ),
        ChainEvent::TransactionConfirmed {
            txid, touch, block, ..
        } => (
            5,
            Some((&touch.script_hash, txid)),
            Anchor::Block(&block.hash),
        ),
        ChainEvent::TransactionUnconfirmed {
            txid,
            script_hash,
            block,
            ..
        } => (6, Some((script_hash, txid)), Anchor::Block(&block.hash)),
        ChainEvent::TransactionReplaced {
            txid,
            script_hash,
            incarnation,
            ..
        } => (
            7,
            Some((script_hash, txid)),
            Anchor::Incarnation(*incarnation),
        ),
        ChainEvent::TransactionEvicted {
            txid,
            script_hash,
            incarnation,
        } => (
            8,
            Some((script_hash, txid)),
            Anchor::Incarnation(*incarnation),
        ),
        ChainEvent::FeedGap { kind, at } => {
            (9, None, Anchor::Moment(at.as_millis(), gap_number(*kind)))
        }
        ChainEvent::FeedRestored { at, .. } => (10, None, Anchor::Moment(at.as_millis(), 0)),
        // The transaction is in one block of the chain below the anchor, so the anchor names the
        // depth as well.
        ChainEvent::DepthReached {
            txid,
            script_hash,
            block,
            ..
        } => (11, Some((script_hash, txid)), Anchor::Block(&block.hash)),
        ChainEvent::TransactionFinal {
            txid,
            script_hash,
            block,
            ..
        } => (12, Some((script_hash, txid)), Anchor::Block(&block.hash)),
        ChainEvent::CoinbaseMatured {
            txid,
            script_hash,
            block,
        } => (13, Some((script_hash, txid)), Anchor::Block(&block.hash)),
        ChainEvent::AuditPassed { at, .. } => (14, None, Anchor::Moment(at.as_millis(), 0)),
        ChainEvent::History(event) => history(event),
    }
}

/// A start names its first script, so that two of one moment differ.
fn history(event: &HistoryEvent) -> (u8, About<'_>, Anchor<'_>) {
    const NO_TRANSACTION: &Txid = &Txid::new([0; 32]);
    match event {
        HistoryEvent::BackfillStarted { scripts, at, .. } => (
            32,
            scripts.first().map(|script| (script, NO_TRANSACTION)),
            Anchor::Moment(at.as_millis(), 0),
        ),
        HistoryEvent::CoinFound {
            script_hash,
            outpoint,
            ..
        } => (
            33,
            Some((script_hash, &outpoint.txid)),
            Anchor::Incarnation(outpoint.vout),
        ),
        HistoryEvent::TransactionAmended { txid, touch, .. } => (
            34,
            Some((&touch.script_hash, txid)),
            Anchor::Moment(touch.spent_sat, 0),
        ),
        HistoryEvent::BackfillAdvanced { through } => (35, None, Anchor::Block(&through.hash)),
        HistoryEvent::BackfillRaised { from } => (36, None, Anchor::Moment(u64::from(*from), 0)),
        HistoryEvent::CoinGone {
            script_hash,
            outpoint,
        } => (
            38,
            Some((script_hash, &outpoint.txid)),
            Anchor::Incarnation(outpoint.vout),
        ),
        HistoryEvent::BackfillCompleted { at, .. } => (37, None, Anchor::Moment(at.as_millis(), 0)),
    }
}

const fn gap_number(kind: GapKind) -> u8 {
    match kind {
        GapKind::Start => 1,
        GapKind::Counter => 2,
        GapKind::Disconnected => 3,
        GapKind::NodeRestart => 4,
        GapKind::Heartbeat => 5,
        GapKind::Books => 6,
        GapKind::Overflow => 7,
        GapKind::Audit => 8,
        GapKind::Polling => 9,
    }
}
