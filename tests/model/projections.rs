//! The projections over histories of the real aggregates: live, resumed from a snapshot at any
//! place, and rebuilt after everything closed was erased, they are the same. And what a projection
//! tells a caller, the aggregate behind it takes.

mod world;

use proptest::prelude::*;
use satpost_projections::ReadModel;

use crate::support::config;
use world::{Happening, World, happening};

fn played(happenings: &[Happening]) -> World {
    let mut world = World::default();
    for happening in happenings {
        world.play(happening);
    }
    world
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn a_rebuild_without_what_was_erased_is_the_live_projection(
        happenings in proptest::collection::vec(happening(), 1..120),
        batch in 1..40_usize,
    ) {
        let world = played(&happenings);
        let rebuilt = ReadModel::new();
        for envelopes in world.erased().chunks(batch) {
            rebuilt.apply_all(envelopes);
        }
        prop_assert_eq!(rebuilt.digests(), world.live.digests());
        prop_assert_eq!(rebuilt.position(), world.live.position());
    }

    #[test]
    fn a_projection_resumed_from_a_snapshot_is_the_live_projection(
        happenings in proptest::collection::vec(happening(), 1..120),
        place in any::<prop::sample::Index>(),
        lagging in any::<prop::sample::Index>(),
    ) {
        let world = played(&happenings);
        let place = place.index(world.log.len() + 1);
        let before = ReadModel::new();
        before.apply_all(&world.log[..place]);
        let mut snapshots = before.snapshots();
        // One of them is missing, as after a change of its version.
        snapshots.remove(lagging.index(snapshots.len()));
        let erased = world.erased();
        for snapshots in [before.snapshots(), snapshots] {
            let resumed = ReadModel::restore_from(&snapshots);
            resumed.apply_all(&erased);
            prop_assert_eq!(resumed.digests(), world.live.digests(), "resumed at {}", place);
        }
    }
}
