//! Which wished depths a block makes.

use satpost_domain::chain::{Chain, DepthSet, DepthWish};
use satpost_domain::ids::ScriptHash;
use satpost_projections::watched_scripts::WatchedScripts;

/// The wishes that the block at `height` fulfils, once it is connected to `chain`. Looks only at
/// the heights that are at a wished depth then.
pub(super) fn made_by_block(
    watched: &WatchedScripts,
    chain: &Chain,
    height: u32,
) -> Vec<DepthWish> {
    let mut wishes = Vec::new();
    for depth in depths_in_use(watched).iter() {
        let Some(own_height) = height.checked_sub(depth - 1) else {
            continue;
        };
        for (txid, tracked) in chain.confirmed_at(own_height) {
            let scripts = tracked.touches.keys();
            let wished = scripts.filter(|script| wished_depths(watched, script).contains(depth));
            wishes.extend(wished.map(|script_hash| DepthWish {
                txid: *txid,
                script_hash: *script_hash,
                depth,
            }));
        }
    }
    wishes
}

/// The depths that anybody who watches any script wishes.
fn depths_in_use(_watched: &WatchedScripts) -> DepthSet {
    DepthSet::default()
}

/// The depths that anybody who watches this script wishes; none when nobody watches it any more.
fn wished_depths(watched: &WatchedScripts, script_hash: &ScriptHash) -> DepthSet {
    match watched.watchers(script_hash).next() {
        Some(_) => DepthSet::default(),
        None => DepthSet::NONE,
    }
}
