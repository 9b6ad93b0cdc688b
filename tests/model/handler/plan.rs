//! What everyone does, and what goes wrong.

use proptest::prelude::*;
use satpost_commands::testing::Fault;

/// How many servers there are.
pub(super) const SERVERS: usize = 3;

/// What the recipient does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Stores all that waits and acknowledges it, or up to so many messages less.
    Acknowledge { less: usize },
    /// Parks the oldest message that waits.
    Park,
    /// Is done with everything that is parked.
    AcknowledgeParked,
    /// Lets the time of all messages so far run out.
    Expire,
    /// Wipes the queue.
    Wipe,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// How many messages each sender sends.
    pub(super) senders: Vec<usize>,
    pub(super) steps: Vec<Step>,
    pub(super) faults: Vec<Option<Fault>>,
    /// After how many polls a command is cut off, as by a crash; 0 for never.
    pub(super) cuts: Vec<usize>,
    /// Which server takes a command; every so often one is started anew.
    pub(super) servers: Vec<usize>,
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fault::Conflict)),
        1 => Just(Some(Fault::Unavailable)),
        1 => Just(Some(Fault::LostUnknown)),
        1 => Just(Some(Fault::StoredUnknown)),
        1 => (1..12_usize).prop_map(|appends| Some(Fault::LateUnknown(appends))),
        // Long enough that the handler gives up.
        1 => Just(Some(Fault::LostUnknown)),
    ]
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let step = prop_oneof![
        4 => (0..3_usize).prop_map(|less| Step::Acknowledge { less }),
        2 => Just(Step::Park),
        2 => Just(Step::AcknowledgeParked),
        1 => Just(Step::Expire),
        1 => Just(Step::Wipe),
    ];
    let bursts = (fault(), 1..7_usize).prop_map(|(fault, length)| vec![fault; length]);
    (
        proptest::collection::vec(1..8_usize, 1..5),
        proptest::collection::vec(step, 0..12),
        proptest::collection::vec(bursts, 0..30),
        proptest::collection::vec(prop_oneof![3 => Just(0), 1 => 1..12_usize], 1..20),
        proptest::collection::vec(0..SERVERS + 1, 1..20),
    )
        .prop_map(|(senders, steps, bursts, cuts, servers)| Plan {
            senders,
            steps,
            faults: bursts.concat(),
            cuts,
            servers,
        })
}
