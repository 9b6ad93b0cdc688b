//! The snapshot of the coins.

use std::collections::HashMap;

use satpost_domain::chain::{BlockRef, OutPoint};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use serde::{Deserialize, Serialize};

use super::Coins;
use super::coverage::{Coverage, Coverages};
use super::script_coins::{Coin, Origin, Place, Recent, ScriptCoins};
use crate::projection::SnapshotError;
use crate::snapshot::{from_bytes, sorted, to_bytes, to_tree};
use crate::transaction_status::chain_tip::ChainTip;

#[derive(Serialize, Deserialize)]
struct Stored {
    scripts: Vec<StoredScript>,
    blocks: Vec<(u32, BlockHash)>,
    backfills: Vec<Coverage>,
    covered: Vec<(ScriptHash, u32)>,
}

#[derive(Serialize, Deserialize)]
struct StoredScript {
    script_hash: ScriptHash,
    coins: Vec<StoredCoin>,
    spenders: Vec<(StoredOutPoint, Txid)>,
    recent: Vec<(Txid, Place, Vec<StoredOutPoint>)>,
}

#[derive(Serialize, Deserialize)]
struct StoredCoin {
    outpoint: StoredOutPoint,
    value_sat: u64,
    origin: Origin,
}

#[derive(Serialize, Deserialize)]
struct StoredOutPoint {
    txid: Txid,
    vout: u32,
}

pub(super) fn snapshot(state: &Coins) -> Vec<u8> {
    let covered = sorted(&state.coverages.of_script);
    to_bytes(&Stored {
        scripts: sorted(&state.scripts)
            .into_iter()
            .map(|(script_hash, coins)| store(*script_hash, coins))
            .collect(),
        blocks: state
            .tip
            .recent
            .iter()
            .map(|block| (block.height, block.hash))
            .collect(),
        backfills: state.coverages.passes.clone(),
        covered: covered
            .into_iter()
            .map(|(script, pass)| (*script, *pass))
            .collect(),
    })
}

pub(super) fn tree(bytes: &[u8]) -> Result<serde_json::Value, SnapshotError> {
    to_tree::<Stored>(bytes)
}

pub(super) fn restore(bytes: &[u8]) -> Result<Coins, SnapshotError> {
    let stored: Stored = from_bytes(bytes)?;
    let blocks = stored.blocks.into_iter();
    let mut coins = Coins {
        tip: ChainTip {
            recent: blocks
                .map(|(height, hash)| BlockRef { height, hash })
                .collect(),
        },
        coverages: Coverages {
            passes: stored.backfills,
            of_script: stored.covered.into_iter().collect(),
        },
        scripts: HashMap::with_capacity(stored.scripts.len()),
        ..Coins::default()
    };
    for stored in stored.scripts {
        let script = stored.script_hash;
        let loaded = load(stored);
        for (txid, recent) in &loaded.recent {
            if let Place::Block(height) = recent.place {
                let at_height = coins.recent.entry(height).or_default();
                at_height.insert((script, *txid));
            }
        }
        coins.scripts.insert(script, loaded);
    }
    Ok(coins)
}

fn store(script_hash: ScriptHash, coins: &ScriptCoins) -> StoredScript {
    StoredScript {
        script_hash,
        coins: coins
            .coins
            .iter()
            .map(|(outpoint, coin)| StoredCoin {
                outpoint: outpoint.into(),
                value_sat: coin.value_sat,
                origin: coin.origin,
            })
            .collect(),
        spenders: coins
            .spenders
            .iter()
            .map(|(outpoint, txid)| (outpoint.into(), *txid))
            .collect(),
        recent: coins
            .recent
            .iter()
            .map(|(txid, recent)| {
                let spends = recent.spends.iter().map(Into::into).collect();
                (*txid, recent.place, spends)
            })
            .collect(),
    }
}

fn load(stored: StoredScript) -> ScriptCoins {
    ScriptCoins {
        coins: stored
            .coins
            .into_iter()
            .map(|stored| {
                let coin = Coin {
                    value_sat: stored.value_sat,
                    origin: stored.origin,
                };
                (stored.outpoint.into(), coin)
            })
            .collect(),
        spenders: stored
            .spenders
            .into_iter()
            .map(|(outpoint, txid)| (outpoint.into(), txid))
            .collect(),
        recent: stored
            .recent
            .into_iter()
            .map(|(txid, place, spends)| {
                let spends = spends.into_iter().map(Into::into).collect();
                (txid, Recent { place, spends })
            })
            .collect(),
    }
}

impl From<&OutPoint> for StoredOutPoint {
    fn from(outpoint: &OutPoint) -> Self {
        Self {
            txid: outpoint.txid,
            vout: outpoint.vout,
        }
    }
}

impl From<StoredOutPoint> for OutPoint {
    fn from(stored: StoredOutPoint) -> Self {
        Self {
            txid: stored.txid,
            vout: stored.vout,
        }
    }
}
