//! The projections over histories of the real aggregates: live, resumed from a snapshot at any
//! place, and rebuilt after everything closed was erased, they are the same. And what a projection
//! tells a caller, the aggregate behind it takes.

mod happening;
mod world;

use proptest::prelude::*;
use satpost_domain::{Position, Timestamp};
use satpost_projections::ReadModel;

use crate::support::config;
use happening::{Happening, happening, opening};
use world::World;

fn played(happenings: &[Happening]) -> World {
    let mut world = World::default();
    for happening in opening().iter().chain(happenings) {
        world.play(happening);
    }
    world
}

/// The same states give the same answers: also those that come from an index, which no snapshot
/// holds.
#[track_caller]
fn assert_same(left: &ReadModel, right: &ReadModel) {
    assert_eq!(left.position(), right.position());
    assert_eq!(left.digests(), right.digests());
    let due = |model: &ReadModel| model.push_outbox().due(None, usize::MAX);
    assert_eq!(due(left), due(right));
    let overdue = |model: &ReadModel, minutes: u64| {
        let now = Timestamp::from_millis(minutes * 60_000);
        model.mailbox_queue().expired(now, usize::MAX)
    };
    for minutes in (0..200).step_by(7) {
        assert_eq!(overdue(left, minutes), overdue(right, minutes));
    }
    let changes = |model: &ReadModel| {
        let status = model.transaction_status();
        status.changed_since(&world::script_hashes(), Position::START, usize::MAX)
    };
    assert_eq!(changes(left), changes(right));
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
        assert_same(&rebuilt, &world.live);
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
            assert_same(&resumed, &world.live);
        }
    }
}
