//! Which wished depths a block makes.

use satpost_domain::chain::{Chain, DepthWish};
use satpost_projections::watched_scripts::WatchedScripts;

/// The wishes that the block at `height` fulfils, once it is connected to `chain`. Looks only at
/// the heights that are at a wished depth then.
pub(super) fn made_by_block(
    watched: &WatchedScripts,
    chain: &Chain,
    height: u32,
) -> Vec<DepthWish> {
    let mut wishes = Vec::new();
    for depth in watched.depths_wished() {
        let Some(own_height) = height.checked_sub(depth - 1) else {
            continue;
        };
        for (txid, tracked) in chain.confirmed_at(own_height) {
            let scripts = tracked.touches.keys();
            let wished = scripts.filter(|script| watched.is_depth_wished(script, depth));
            wishes.extend(wished.map(|script_hash| DepthWish {
                txid: *txid,
                script_hash: *script_hash,
                depth,
            }));
        }
    }
    wishes
}
