//! What can happen in the small world, and how a random history is drawn.

use proptest::prelude::*;
use satpost_domain::mailbox::{StrangerPolicy, TokenUse};

pub(super) const CLIENTS: u8 = 3;
/// Key `n` belongs to client `n % CLIENTS`.
pub(super) const KEYS: u8 = 6;
pub(super) const SCRIPTS: u8 = 4;
pub(super) const TRANSACTIONS: u8 = 5;

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Register {
        client: u8,
    },
    Rotate {
        key: u8,
    },
    SetPush {
        client: u8,
    },
    VerifyPush {
        client: u8,
        right: bool,
    },
    LosePush {
        client: u8,
        dead: bool,
    },
    /// Everything the outbox owes is sent and recorded; some triggers may come in between.
    Wake,
    Retire {
        client: u8,
    },
    Watch {
        client: u8,
        script: u8,
    },
    Unwatch {
        client: u8,
        script: u8,
    },
    Send {
        key: u8,
        minutes: u64,
    },
    Acknowledge {
        key: u8,
        messages: usize,
    },
    Park {
        key: u8,
        message: usize,
    },
    AcknowledgeParked {
        key: u8,
    },
    /// Time passes, and what has run out is let go.
    Pass {
        minutes: u64,
    },
    Wipe {
        key: u8,
    },
    /// The owner of the key has something else done with strangers.
    SetPolicy {
        key: u8,
        policy: StrangerPolicy,
    },
    /// The owner of the key gives out so many tokens.
    Mint {
        key: u8,
        count: usize,
        uses: TokenUse,
    },
    /// The owner of the key takes back so many tokens.
    Revoke {
        key: u8,
        count: usize,
    },
    /// A stranger writes, with work or with a card.
    Knock {
        key: u8,
        with_card: bool,
    },
    /// Messages come until less than a quarter of the room is free.
    Fill {
        key: u8,
        minutes: u64,
    },
    See {
        transaction: u8,
        script: u8,
    },
    Remove {
        transaction: u8,
        replaced: bool,
    },
    Mine {
        transaction: u8,
        script: u8,
    },
    Unmine,
    Gap {
        restored: bool,
    },
}

/// What every history begins with, so that the rest of it meets something: clients that can be
/// woken, with a few scripts, and a chain.
pub(crate) fn opening() -> Vec<Happening> {
    use Happening as H;
    let clients = (0..CLIENTS).flat_map(|client| {
        let right = true;
        [
            H::Register { client },
            H::SetPush { client },
            H::VerifyPush { client, right },
            H::Watch { client, script: 0 },
            H::Watch {
                client,
                script: 1 + client % 2,
            },
        ]
    });
    let mined = H::Mine {
        transaction: 0,
        script: 3,
    };
    clients.chain([mined]).collect()
}

pub(crate) fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let (client, key) = (0..CLIENTS, 0..KEYS);
    let (script, transaction) = (0..SCRIPTS, 0..TRANSACTIONS);
    let clients = prop_oneof![
        3 => client.clone().prop_map(|client| H::Register { client }),
        1 => key.clone().prop_map(|key| H::Rotate { key }),
        2 => client.clone().prop_map(|client| H::SetPush { client }),
        3 => (client.clone(), prop::bool::weighted(0.8))
            .prop_map(|(client, right)| H::VerifyPush { client, right }),
        1 => (client.clone(), any::<bool>())
            .prop_map(|(client, dead)| H::LosePush { client, dead }),
        3 => Just(H::Wake),
        1 => client.clone().prop_map(|client| H::Retire { client }),
    ];
    let scripts = prop_oneof![
        3 => (client.clone(), script.clone())
            .prop_map(|(client, script)| H::Watch { client, script }),
        2 => (client, script.clone()).prop_map(|(client, script)| H::Unwatch { client, script }),
    ];
    let messages = prop_oneof![
        6 => (key.clone(), 1..30_u64).prop_map(|(key, minutes)| H::Send { key, minutes }),
        3 => (key.clone(), prop_oneof![9 => 1..5_usize, 1 => 1..400_usize])
            .prop_map(|(key, messages)| H::Acknowledge { key, messages }),
        2 => (key.clone(), 0..5_usize).prop_map(|(key, message)| H::Park { key, message }),
        1 => key.clone().prop_map(|key| H::AcknowledgeParked { key }),
        2 => (1..10_u64).prop_map(|minutes| H::Pass { minutes }),
        1 => key.clone().prop_map(|key| H::Wipe { key }),
    ];
    let policy = prop_oneof![
        1 => Just(StrangerPolicy::Refuse),
        1 => Just(StrangerPolicy::Knock),
        2 => Just(StrangerPolicy::Open),
    ];
    let uses = prop_oneof![Just(TokenUse::Lasting), Just(TokenUse::Once)];
    let admission = prop_oneof![
        8 => (key.clone(), policy).prop_map(|(key, policy)| H::SetPolicy { key, policy }),
        8 => (key.clone(), 1..4_usize, uses)
            .prop_map(|(key, count, uses)| H::Mint { key, count, uses }),
        4 => (key.clone(), 1..3_usize).prop_map(|(key, count)| H::Revoke { key, count }),
        12 => (key.clone(), any::<bool>())
            .prop_map(|(key, with_card)| H::Knock { key, with_card }),
        1 => (key, 1..30_u64).prop_map(|(key, minutes)| H::Fill { key, minutes }),
    ];
    let chain = prop_oneof![
        4 => (transaction.clone(), script.clone())
            .prop_map(|(transaction, script)| H::See { transaction, script }),
        2 => (transaction.clone(), any::<bool>())
            .prop_map(|(transaction, replaced)| H::Remove { transaction, replaced }),
        3 => (transaction, script)
            .prop_map(|(transaction, script)| H::Mine { transaction, script }),
        1 => Just(H::Unmine),
        1 => any::<bool>().prop_map(|restored| H::Gap { restored }),
    ];
    prop_oneof![
        3 => clients,
        3 => scripts,
        3 => messages,
        1 => admission,
        3 => chain,
    ]
}
