//! The follower of the node against a node in memory: random payments, packages, replacements,
//! conflicts in blocks, evictions, reorganisations of up to 144 blocks and restarts. One server hears
//! everything; another one hears any part of it, some of it twice, and dies at any append.

use proptest::prelude::*;

use crate::support::config;

mod announced;
mod node;
mod server;
pub(crate) mod world;

use world::World;

/// Something that happens.
#[derive(Debug, Clone)]
enum Happening {
    /// A payment of an old coin is broadcast; variants of one coin replace one another.
    Pay { coin: u8, variant: u8 },
    /// A payment of the output of one that waits.
    Child { parent: u8, variant: u8, to: u8 },
    /// The node drops a transaction and its descendants.
    Evict { number: u8 },
    /// A block takes some of the mempool, and perhaps a transaction that nobody has seen.
    Mine {
        choice: u8,
        unseen: Option<(u8, u8)>,
        pays: u8,
    },
    /// So many blocks without transactions.
    MineEmpty { blocks: u8 },
    /// The last blocks become stale, and others take their place.
    Reorganise { depth: u8, lost: u8, blocks: u8 },
    /// The node begins anew.
    Restart { keeps_mempool: bool },
    /// The servers take this many announcements each.
    Deliver { count: u8 },
    /// A second passes.
    Heartbeat,
}

/// What becomes of an announcement on its way to the server that does not hear everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    IsLost,
    ComesTwice,
}

/// What goes wrong with an append of that server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Append {
    Works,
    DiesBefore,
    DiesAfter,
}

fn happening() -> impl Strategy<Value = Happening> {
    let to = 0..5_u8;
    let variant = 0..2_u8;
    prop_oneof![
        6 => (0..4_u8, 0..2_u8)
            .prop_map(|(coin, variant)| Happening::Pay { coin, variant }),
        4 => (any::<u8>(), variant.clone(), to.clone())
            .prop_map(|(parent, variant, to)| Happening::Child { parent, variant, to }),
        2 => any::<u8>().prop_map(|number| Happening::Evict { number }),
        5 => (any::<u8>(), proptest::option::of((0..4_u8, variant)), to)
            .prop_map(|(choice, unseen, pays)| Happening::Mine { choice, unseen, pays }),
        1 => (1..150_u8).prop_map(|blocks| Happening::MineEmpty { blocks }),
        3 => (1..5_u8, 0..4_u8, 0..6_u8)
            .prop_map(|(depth, lost, blocks)| Happening::Reorganise { depth, lost, blocks }),
        1 => (1..145_u8, 0..4_u8, 0..6_u8)
            .prop_map(|(depth, lost, blocks)| Happening::Reorganise { depth, lost, blocks }),
        1 => any::<bool>().prop_map(|keeps_mempool| Happening::Restart { keeps_mempool }),
        6 => (1..12_u8).prop_map(|count| Happening::Deliver { count }),
        3 => Just(Happening::Heartbeat),
    ]
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        8 => Just(Fate::Arrives),
        2 => Just(Fate::IsLost),
        1 => Just(Fate::ComesTwice),
    ];
    proptest::collection::vec(fate, 1..40)
}

fn appends() -> impl Strategy<Value = Vec<Append>> {
    let append = prop_oneof![
        12 => Just(Append::Works),
        1 => Just(Append::DiesBefore),
        1 => Just(Append::DiesAfter),
    ];
    proptest::collection::vec(append, 0..60)
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn keeps_its_contract_whatever_is_lost_and_wherever_it_dies(
        happenings in proptest::collection::vec(happening(), 1..50),
        fates in fates(),
        appends in appends(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(fates, appends).await;
            for happening in &happenings {
                world.happen(happening).await;
            }
            world.settle().await;
        });
    }
}
