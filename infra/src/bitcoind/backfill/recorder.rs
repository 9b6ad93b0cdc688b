//! Puts what was found into appends of bounded size, leaving out what is recorded already.

use satpost_commands::record_chain::record_chain;
use satpost_domain::Position;
use satpost_domain::chain::{
    BlockRef, ChainCommand, HistoricBlock, HistoryCommand, Sighting, Touch,
};
use satpost_domain::limits::{BACKFILL_BLOCKS_PER_RECORD_MAX, EVENTS_PER_COMMAND_MAX};
use satpost_projections::transaction_status::TransactionStatus;

use super::{BackfillError, Backfiller};

/// How many bytes of events one append has at most, about; what one transaction does to one script
/// may be more.
const BYTES_PER_RECORD_MAX: usize = 4 * 1024 * 1024;
/// The stored event without its inputs and outputs, about.
const EVENT_BYTES: usize = 200;
/// An input or output in a stored event, at most.
const PART_BYTES: usize = 37;

/// What was found and is not recorded yet.
#[derive(Default)]
pub(super) struct Recorder {
    blocks: Vec<HistoricBlock>,
    events: usize,
    bytes: usize,
    /// How many blocks were read since the last append.
    read: usize,
    /// Where the log stood after the last append.
    pub(super) position: Position,
}

impl Recorder {
    /// Takes what was found in a block, and appends when it is enough.
    pub(super) async fn take(
        &mut self,
        backfiller: &Backfiller,
        block: BlockRef,
        found: Vec<Sighting>,
    ) -> Result<(), BackfillError> {
        self.read += 1;
        for sighting in found {
            for touch in &sighting.touches {
                let new = {
                    let status = backfiller.read_model.transaction_status();
                    News::of(&status, &sighting, touch)
                };
                let bytes =
                    EVENT_BYTES + PART_BYTES * (sighting.inputs.len() + touch.outputs.len());
                let full = self.events + 1 >= EVENTS_PER_COMMAND_MAX
                    || self.bytes + bytes > BYTES_PER_RECORD_MAX;
                if full && !matches!(new, News::None) {
                    self.append(backfiller, None).await?;
                }
                self.put(block, &sighting, touch, new, bytes);
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        block: BlockRef,
        sighting: &Sighting,
        touch: &Touch,
        new: News,
        bytes: usize,
    ) {
        if matches!(new, News::None) {
            return;
        }
        if self.blocks.last().is_none_or(|last| last.block != block) {
            self.blocks.push(HistoricBlock {
                block,
                sightings: Vec::new(),
                amended: Vec::new(),
            });
        }
        let Some(last) = self.blocks.last_mut() else {
            return;
        };
        let sighting = Sighting {
            touches: vec![touch.clone()],
            ..sighting.clone()
        };
        match new {
            News::Transaction => last.sightings.push(sighting),
            News::Amendment => last.amended.push(sighting),
            News::None => {}
        }
        self.events += 1;
        self.bytes += bytes;
    }

    /// Drops what is not recorded: it is read again.
    pub(super) fn forget(&mut self) {
        *self = Self {
            position: self.position,
            ..Self::default()
        };
    }

    /// True when the blocks read since the last append are many.
    pub(super) const fn is_due(&self) -> bool {
        self.read >= BACKFILL_BLOCKS_PER_RECORD_MAX
    }

    /// Appends everything; `through` is the last block that was read whole.
    pub(super) async fn append(
        &mut self,
        backfiller: &Backfiller,
        through: Option<BlockRef>,
    ) -> Result<(), BackfillError> {
        let blocks = std::mem::take(&mut self.blocks);
        let command = ChainCommand::History(HistoryCommand::Record { blocks, through });
        let outcome = record_chain(&backfiller.handler, backfiller.network, &command).await?;
        backfiller.metrics.read(self.read);
        self.position = outcome.position;
        (self.events, self.bytes, self.read) = (0, 0, 0);
        // What is left out next is what a reader sees.
        backfiller.until_visible(outcome.position).await;
        if let Some(through) = through {
            backfiller.metrics.advanced(through.height + 1);
            tracing::debug!(backfill.through = through.height, "history read");
        }
        Ok(())
    }
}

/// What a transaction of the past is to the log.
#[derive(Clone, Copy)]
enum News {
    /// Recorded, and nothing to add.
    None,
    /// Not recorded.
    Transaction,
    /// Recorded, but it takes more from the script than was known.
    Amendment,
}

impl News {
    /// The chain itself knows only transactions that may still change; of the others only readers
    /// know that they are recorded.
    fn of(status: &TransactionStatus, sighting: &Sighting, touch: &Touch) -> Self {
        match status.recorded(&touch.script_hash, &sighting.txid) {
            Some((state, spent_sat)) if state.is_in_block() => {
                if touch.spent_sat > spent_sat {
                    Self::Amendment
                } else {
                    Self::None
                }
            }
            Some(_) | None => Self::Transaction,
        }
    }
}
