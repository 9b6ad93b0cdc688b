//! Which scripts wait for their history, and from which height on it is read.

use std::collections::BTreeSet;

use satpost_commands::record_chain::record_chain;
use satpost_domain::Timestamp;
use satpost_domain::chain::{ChainCommand, HistoryCommand};
use satpost_domain::ids::ScriptHash;
use satpost_domain::limits::{BACKFILL_SCRIPTS_PER_COMMAND_MAX, BIRTHDAY_SLACK_SECS};
use satpost_domain::watchlist::Birthday;
use satpost_projections::coins::Coins;
use satpost_projections::watched_scripts::HistoryWish;

use super::{BackfillError, Backfiller, HistoryRpc};

/// A pass that can begin.
pub(super) struct Plan {
    scripts: Vec<ScriptHash>,
    wanted: u32,
    wanted_time_secs: u64,
    from: u32,
}

impl Plan {
    /// The plan for everyone who waits now; nothing when nobody does.
    pub(super) async fn make(
        backfiller: &Backfiller,
        tip: u32,
    ) -> Result<Option<Self>, BackfillError> {
        let waiting = Waiting::now(backfiller);
        if waiting.scripts.is_empty() {
            return Ok(None);
        }
        let rpc = backfiller.rpc.as_ref();
        let mut wanted = tip.saturating_add(1).min(waiting.height);
        if let Some(time) = waiting.time {
            wanted = wanted.min(first_block(rpc, time, tip).await?);
        }
        // A birthday above the tip is asked for as if it were the block after the tip, so that it
        // is satisfied now and stays so.
        let wanted_time_secs = match wanted.checked_sub(1) {
            None => 0,
            Some(below) => {
                let median = rpc.median_time_secs(below).await?;
                median.map_or(u64::MAX, |median| median + BIRTHDAY_SLACK_SECS + 1)
            }
        };
        let lowest = rpc.lowest_block().await?;
        Ok(Some(Self {
            scripts: waiting.scripts.into_iter().collect(),
            wanted,
            wanted_time_secs,
            from: wanted.max(lowest),
        }))
    }

    /// Begins the pass in the log. A server that is killed in between goes on with fewer scripts,
    /// and the others wait for the next pass.
    pub(super) async fn start(self, backfiller: &Backfiller) -> Result<(), BackfillError> {
        tracing::info!(
            backfill.scripts = self.scripts.len(),
            backfill.from = self.from,
            backfill.wanted = self.wanted,
            "a back-fill begins"
        );
        for scripts in self.scripts.chunks(BACKFILL_SCRIPTS_PER_COMMAND_MAX) {
            let command = ChainCommand::History(HistoryCommand::Start {
                scripts: scripts.to_vec(),
                wanted: self.wanted,
                wanted_time_secs: self.wanted_time_secs,
                from: self.from,
                at: backfiller.handler.now(),
            });
            record_chain(&backfiller.handler, backfiller.network, &command).await?;
        }
        Ok(())
    }
}

/// Who waits. They share one pass, so only the earliest birthdays matter.
struct Waiting {
    scripts: BTreeSet<ScriptHash>,
    /// The lowest height among birthdays, and among coins of these scripts: one that was not watched
    /// for a while may have spent them since.
    height: u32,
    /// The earliest time among birthdays.
    time: Option<Timestamp>,
}

impl Waiting {
    fn now(backfiller: &Backfiller) -> Self {
        let mut waiting = Self {
            scripts: BTreeSet::new(),
            height: u32::MAX,
            time: None,
        };
        let watched = backfiller.read_model.watched_scripts();
        let coins = backfiller.read_model.coins();
        for wish in watched.wishes().filter(|wish| waits(&coins, wish)) {
            waiting.scripts.insert(wish.script);
            let oldest = coins.oldest_height(&wish.script);
            waiting.height = waiting.height.min(oldest.unwrap_or(u32::MAX));
            match wish.birthday {
                Birthday::Height(height) => waiting.height = waiting.height.min(height),
                Birthday::Time(time) => {
                    waiting.time = Some(waiting.time.map_or(time, |first| first.min(time)));
                }
            }
        }
        waiting
    }
}

fn waits(coins: &Coins, wish: &HistoryWish) -> bool {
    let coverage = coins.coverage(&wish.script);
    coverage.is_none_or(|coverage| !coverage.satisfies(wish.birthday, wish.passes_before))
}

/// The first block that may hold a transaction made at `birthday`; the block after the tip when
/// there is none yet.
async fn first_block(
    rpc: &dyn HistoryRpc,
    birthday: Timestamp,
    tip: u32,
) -> Result<u32, BackfillError> {
    let secs = birthday.as_secs().saturating_sub(BIRTHDAY_SLACK_SECS);
    // The median time never decreases, so this is a binary search.
    let (mut low, mut high) = (0, tip.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        match rpc.median_time_secs(middle).await? {
            Some(median) if median < secs => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
