//! History against the blocks: a random chain, a wallet that registers its scripts at any moment and
//! takes them back, reorganisations, blocks that the node forgets, and a server that dies at any append,
//! all while the back-fill reads. Whatever the server calls complete is what the blocks say, and in the
//! end it is everything.
//!
//! `PROPTEST_CASES` makes more cases. A failure prints its smallest case and keeps its seed in
//! `history.regressions`, so that the next run of this test meets it first.

use std::time::Duration;

use proptest::prelude::*;
use satpost_domain::Timestamp;
use satpost_domain::watchlist::Birthday;

use crate::support::config;

mod node;
mod server;
mod truth;
mod world;

use node::{Kind, OURS, SCRIPTS};
use world::World;

/// Something that happens.
#[derive(Debug, Clone)]
enum Happening {
    /// Coins are paid to scripts.
    Pay { coins: Vec<u8>, to: Vec<u8> },
    /// A payment that waits is replaced.
    Replace { number: u8, to: u8 },
    /// The node drops a transaction and its descendants.
    Evict { number: u8 },
    /// A block takes some of the mempool.
    Mine { choice: u8, pays: u8 },
    /// So many blocks of nobody.
    MineEmpty { blocks: u16 },
    /// The last blocks become stale, and others take their place; there may be fewer then.
    Reorganise { depth: u8, lost: u8, blocks: u8 },
    /// The node forgets what is more than this below the last block that the server knows.
    Prune { kept: u8 },
    /// The wallet wants to know what happened to a script, or more of it.
    Watch { script: u8, birthday: Birthday },
    /// The wallet does not want to know of it any more.
    Unwatch { script: u8 },
    /// The projections are written down.
    Snapshot,
    /// The server dies, wherever it is.
    Kill,
}

/// At which append the server dies.
#[derive(Debug, Clone, Copy)]
struct Death {
    appends: u8,
    stores: bool,
}

fn kind() -> impl Strategy<Value = Kind> {
    let kinds = (any::<bool>(), any::<bool>(), any::<u64>());
    kinds.prop_map(|(tells_spends, has_filters, seed)| Kind {
        tells_spends,
        has_filters,
        seed,
    })
}

fn at_the_node() -> impl Strategy<Value = Happening> {
    let script = 0..SCRIPTS;
    let coins = proptest::collection::vec(any::<u8>(), 1..3);
    let to = proptest::collection::vec(0..SCRIPTS, 1..4);
    prop_oneof![
        8 => (coins, to).prop_map(|(coins, to)| Happening::Pay { coins, to }),
        2 => (any::<u8>(), script.clone())
            .prop_map(|(number, to)| Happening::Replace { number, to }),
        1 => any::<u8>().prop_map(|number| Happening::Evict { number }),
        8 => (any::<u8>(), script).prop_map(|(choice, pays)| Happening::Mine { choice, pays }),
        2 => (1..30_u16).prop_map(|blocks| Happening::MineEmpty { blocks }),
    ]
}

fn past() -> impl Strategy<Value = Vec<Happening>> {
    let long_ago = prop_oneof![
        40 => at_the_node(),
        1 => Just(Happening::MineEmpty { blocks: 300 }),
    ];
    proptest::collection::vec(long_ago, 0..40)
}

fn birthday() -> impl Strategy<Value = Birthday> {
    // Blocks are an hour apart.
    let secs = |height: u64| 1_300_000_000 + height * 3_600;
    prop_oneof![
        3 => (0..60_u32).prop_map(Birthday::Height),
        1 => (0..100_u64)
            .prop_map(move |height| Birthday::Time(Timestamp::from_millis(secs(height) * 1_000))),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let watch = (0..OURS, birthday());
    let reorganise = (1..9_u8, 0..4_u8, 0..10_u8);
    prop_oneof![
        12 => at_the_node(),
        2 => reorganise.prop_map(|(depth, lost, blocks)| Happening::Reorganise {
            depth,
            lost,
            blocks,
        }),
        2 => (0..30_u8).prop_map(|kept| Happening::Prune { kept }),
        6 => watch.prop_map(|(script, birthday)| Happening::Watch { script, birthday }),
        2 => (0..OURS).prop_map(|script| Happening::Unwatch { script }),
        1 => Just(Happening::Snapshot),
        1 => Just(Happening::Kill),
    ]
}

fn deaths() -> impl Strategy<Value = Vec<Death>> {
    let death = (0..12_u8, any::<bool>());
    let death = death.prop_map(|(appends, stores)| Death { appends, stores });
    proptest::collection::vec(death, 0..8)
}

fn present() -> impl Strategy<Value = Vec<(Happening, u16)>> {
    // Most things happen at once, some after a while.
    let millis = prop_oneof![3 => 0..20_u16, 2 => 0..400_u16, 1 => 500..2_500_u16];
    proptest::collection::vec((happening(), millis), 1..40)
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn history_is_what_the_blocks_say_whenever_it_is_asked_for(
        kind in kind(),
        past in past(),
        present in present(),
        deaths in deaths(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(kind, &past, deaths);
            for (happening, millis) in &present {
                let pause = Duration::from_millis((*millis).into());
                world.happen(happening, pause).await;
            }
            world.settle().await;
            assert!(world.checked > 0);
        });
    }
}
