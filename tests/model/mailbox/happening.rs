//! What can happen to the mailbox, and how a random history is drawn.

use proptest::prelude::*;
use satpost_domain::limits::DELIVERY_TOKENS_PER_REQUEST_MAX;
use satpost_domain::mailbox::{StrangerPolicy, TokenUse};

/// How many devices fetch from the mailbox.
pub(super) const DEVICES: usize = 2;

/// What the sender of a message shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// One of the tokens there ever were, or of those there never were.
    pub(super) token: Option<u64>,
    pub(super) has_worked: bool,
    pub(super) is_registered: bool,
}

/// Something that happens to the mailbox. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// So many messages come, of this size and time to live.
    Send {
        count: usize,
        bucket: usize,
        minutes: u64,
        shown: Shown,
    },
    /// A message comes that is out of bounds in its size, its time to live, or neither.
    SendOdd { size: usize, seconds: u64 },
    /// A device takes so many messages of the line.
    Fetch { device: usize, count: u64 },
    /// A device acknowledges what it has, or some messages less.
    Acknowledge { device: usize, less: u64 },
    /// Somebody acknowledges with a chain that belongs elsewhere.
    Forge {
        device: usize,
        through: u64,
        chain_of: u64,
    },
    /// A device parks messages.
    Park { seqs: Vec<u64> },
    /// A device is done with messages, some of which were parked.
    AcknowledgeParked { seqs: Vec<u64> },
    /// Time passes, and what has run out is let go.
    Expire { minutes: u64 },
    /// The recipient wipes the mailbox.
    Wipe,
    /// The owner, or somebody else, opens it again, perhaps in the place of another mailbox.
    Open {
        owner: bool,
        inherited: Option<(StrangerPolicy, Vec<u64>)>,
    },
    /// The owner rotates to another key, or to this one.
    Forward { to: u8 },
    /// The owner has something else done with strangers.
    SetPolicy(StrangerPolicy),
    /// The owner gives out so many tokens.
    Mint { count: usize, uses: TokenUse },
    /// Tokens there were come again, and can be used otherwise.
    MintAgain { tokens: Vec<u64>, uses: TokenUse },
    /// The owner takes tokens back.
    Revoke { tokens: Vec<u64> },
    /// Somebody says that the mailbox is full.
    NoteFull,
    /// The last command comes again.
    Repeat,
    /// The server is restarted.
    Reload,
}

fn policy() -> impl Strategy<Value = StrangerPolicy> {
    prop_oneof![
        Just(StrangerPolicy::Refuse),
        Just(StrangerPolicy::Knock),
        Just(StrangerPolicy::Open),
    ]
}

fn uses() -> impl Strategy<Value = TokenUse> {
    prop_oneof![Just(TokenUse::Lasting), Just(TokenUse::Once)]
}

fn shown() -> impl Strategy<Value = Shown> {
    let token = proptest::option::of(any::<u64>());
    (token, any::<bool>(), any::<bool>()).prop_map(|(token, has_worked, is_registered)| Shown {
        token,
        has_worked,
        is_registered,
    })
}

/// Who may write, and where the messages go.
fn admission() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let tokens = || proptest::collection::vec(any::<u64>(), 0..4);
    let counts = prop_oneof![
        6 => 0..4_usize,
        1 => DELIVERY_TOKENS_PER_REQUEST_MAX - 1..DELIVERY_TOKENS_PER_REQUEST_MAX + 2,
    ];
    let inherited = proptest::option::of((policy(), tokens()));
    prop_oneof![
        4 => policy().prop_map(H::SetPolicy),
        4 => (counts, uses()).prop_map(|(count, uses)| H::Mint { count, uses }),
        1 => (tokens(), uses()).prop_map(|(tokens, uses)| H::MintAgain { tokens, uses }),
        2 => tokens().prop_map(|tokens| H::Revoke { tokens }),
        1 => (0..3_u8).prop_map(|to| H::Forward { to }),
        3 => (prop::bool::weighted(0.8), inherited)
            .prop_map(|(owner, inherited)| H::Open { owner, inherited }),
        1 => Just(H::NoteFull),
    ]
}

pub(super) fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let seqs = || proptest::collection::vec(any::<u64>(), 1..4);
    let send = |counts| {
        (counts, 0..4_usize, 1..60_u64, shown()).prop_map(|(count, bucket, minutes, shown)| {
            H::Send {
                count,
                bucket,
                minutes,
                shown,
            }
        })
    };
    let device = || 0..DEVICES;
    prop_oneof![
        10 => send(1..4_usize),
        1 => send(300..700_usize),
        1 => (prop_oneof![Just(512), 0..20_000_usize], prop_oneof![Just(60), any::<u64>()])
            .prop_map(|(size, seconds)| H::SendOdd { size, seconds }),
        6 => (device(), prop_oneof![5 => 0..6_u64, 1 => 0..400_u64])
            .prop_map(|(device, count)| H::Fetch { device, count }),
        5 => (device(), 0..3_u64).prop_map(|(device, less)| H::Acknowledge { device, less }),
        3 => (device(), any::<u64>(), any::<u64>())
            .prop_map(|(device, through, chain_of)| H::Forge { device, through, chain_of }),
        4 => seqs().prop_map(|seqs| H::Park { seqs }),
        3 => seqs().prop_map(|seqs| H::AcknowledgeParked { seqs }),
        3 => (0..30_u64).prop_map(|minutes| H::Expire { minutes }),
        1 => (0..35 * 24 * 60_u64).prop_map(|minutes| H::Expire { minutes }),
        1 => Just(H::Wipe),
        8 => admission(),
        2 => Just(H::Repeat),
        2 => Just(H::Reload),
    ]
}
