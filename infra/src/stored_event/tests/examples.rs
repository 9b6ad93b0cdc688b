//! One fixed event of every kind. Their bytes are pinned, so they never change.

use satpost_domain::chain::{
    BlockRef, ChainEvent, DepthSet, GapKind, HistoryEvent, OutPoint, ReplacedIn, ReplacedVia, Touch,
};
use satpost_domain::client::{ClientEvent, PushDeathReason};
use satpost_domain::ids::{BlockHash, ChainHash, Digest, ScriptHash, TokenHash, Txid};
use satpost_domain::mailbox::{
    DeliveryToken, GoneReason, MailboxEvent, ParkReason, SizeBucket, StrangerPolicy, TokenUse,
};
use satpost_domain::push::{PushRegistration, PushTarget, VerificationCode};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{Birthday, WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, CommandId, Event, MessageId, MessagingKey, Metadata, PushTargetId, RequestDigest,
    Sealed, Timestamp, WatchId,
};

/// 2023-11-14, in milliseconds: a varint of six bytes.
const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_701_209_600_000);

const CLIENT: ClientId = ClientId::from_stored([0xc1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([0xc2; 32]);
const TARGET: PushTargetId = PushTargetId::new([0xc3; 16]);
const WATCH: WatchId = WatchId::new([0xc4; 16]);
const TXID: Txid = Txid::new([0xc5; 32]);
const SCRIPT_HASH: ScriptHash = ScriptHash::new([0xc6; 32]);
const BLOCK: BlockRef = BlockRef {
    height: 840_000,
    hash: BlockHash::new([0xc7; 32]),
};

pub(super) fn metadata() -> Metadata {
    Metadata {
        command_id: CommandId::new([0xa1; 16]),
        request_digest: RequestDigest::new([0xa2; 16]),
        recorded_at: AT,
    }
}

pub(super) fn examples() -> Vec<Event> {
    let client = client().map(Event::from).into_iter();
    let mailbox = mailbox().map(Event::from).into_iter();
    let watchlist = watchlist().map(Event::from).into_iter();
    let blocks = blocks().map(Event::from).into_iter();
    let transactions = transactions().map(Event::from).into_iter();
    let history = history()
        .map(|event| Event::Chain(event.into()))
        .into_iter();
    client
        .chain(mailbox)
        .chain(watchlist)
        .chain(blocks)
        .chain(transactions)
        .chain(history)
        .collect()
}

pub(super) fn message_parked() -> Event {
    MailboxEvent::MessageParked {
        seq: 5,
        reason: ParkReason::Format,
        at: AT,
    }
    .into()
}

fn client() -> [ClientEvent; 9] {
    let registration = PushRegistration {
        target: PushTarget::web_push(
            "https://push.example/a".to_owned(),
            std::array::from_fn(|index| if index == 0 { 4 } else { 0xd1 }),
            [0xd2; 16],
        )
        .unwrap(),
        code: VerificationCode::new([0xd3; 16]),
    };
    [
        ClientEvent::ClientRegistered {
            client: CLIENT,
            messaging_key: KEY,
            at: AT,
        },
        ClientEvent::MessagingKeyRotated {
            from: KEY,
            to: MessagingKey::from_stored([0xc8; 32]),
            at: AT,
        },
        ClientEvent::PushTargetSet {
            id: TARGET,
            registration: Sealed::Present(registration),
            code_digest: Digest::new([0xd4; 32]),
            code_expires_at: LATER,
            at: AT,
        },
        ClientEvent::PushTargetVerified { id: TARGET, at: AT },
        ClientEvent::PushCodeRefused { id: TARGET, at: AT },
        ClientEvent::PushTargetRemoved { id: TARGET, at: AT },
        ClientEvent::PushTargetDead {
            id: TARGET,
            reason: PushDeathReason::Forbidden,
            at: AT,
        },
        ClientEvent::PushWoken {
            id: TARGET,
            through: 300,
            at: AT,
        },
        ClientEvent::ClientRetired { at: AT },
    ]
}

fn mailbox() -> [MailboxEvent; 15] {
    [
        MailboxEvent::MailboxOpened {
            key: KEY,
            owner: CLIENT,
            at: AT,
        },
        MailboxEvent::MessageAccepted {
            seq: 300,
            id: MessageId::new([0xe1; 16]),
            size: SizeBucket::of(8 * 1024).unwrap(),
            digest: Digest::new([0xe2; 32]),
            chain: ChainHash::new([0xe3; 32]),
            knock: true,
            at: AT,
            expires_at: LATER,
        },
        MailboxEvent::MailboxForwarded {
            to: KEY,
            until: LATER,
            at: AT,
        },
        MailboxEvent::MailboxReopened { at: AT },
        MailboxEvent::StrangerPolicyChanged {
            policy: StrangerPolicy::Open,
            at: AT,
        },
        MailboxEvent::DeliveryTokensAdded {
            tokens: vec![
                DeliveryToken {
                    hash: TokenHash::new([0xe4; 32]),
                    uses: TokenUse::Lasting,
                },
                DeliveryToken {
                    hash: TokenHash::new([0xe5; 32]),
                    uses: TokenUse::Once,
                },
            ],
            at: AT,
        },
        MailboxEvent::DeliveryTokensRevoked {
            hashes: vec![TokenHash::new([0xe4; 32])],
            at: AT,
        },
        MailboxEvent::DeliveryTokenSpent {
            hash: TokenHash::new([0xe5; 32]),
            at: AT,
        },
        MailboxEvent::MailboxFilled { at: AT },
        MailboxEvent::MailboxHasRoom { at: AT },
        MailboxEvent::MessageParked {
            seq: 300,
            reason: ParkReason::Other,
            at: AT,
        },
        MailboxEvent::MessagesAcknowledged {
            through: 300,
            count: 2,
            at: AT,
        },
        MailboxEvent::ParkedMessagesAcknowledged {
            seqs: vec![1, 300],
            at: AT,
        },
        MailboxEvent::MessageGone {
            seq: 300,
            reason: GoneReason::Wiped,
            at: AT,
        },
        MailboxEvent::MailboxClosed { at: AT },
    ]
}

fn watchlist() -> [WatchlistEvent; 3] {
    [
        WatchlistEvent::AddressWatched {
            id: WATCH,
            target: Sealed::Present(Script::new(&[0x51, 0x20, 0xf1, 0xf2]).unwrap().into()),
            options: WatchOptions {
                depths: DepthSet::new([2, 144]).unwrap(),
                birthday: Some(Birthday::Height(840_000)),
            },
            at: AT,
        },
        WatchlistEvent::WatchOptionsChanged {
            id: WATCH,
            options: WatchOptions {
                depths: DepthSet::default(),
                birthday: Some(Birthday::Time(AT)),
            },
            at: AT,
        },
        WatchlistEvent::AddressUnwatched { id: WATCH, at: AT },
    ]
}

fn blocks() -> [ChainEvent; 6] {
    [
        ChainEvent::EpochStarted {
            genesis: BlockHash::new([0xc9; 32]),
            tip: BLOCK,
            at: AT,
        },
        ChainEvent::BlockConnected {
            block: BLOCK,
            previous: BlockHash::new([0xca; 32]),
            time_secs: 1_700_000_000,
        },
        ChainEvent::BlockDisconnected { block: BLOCK },
        ChainEvent::FeedGap {
            kind: GapKind::Heartbeat,
            at: AT,
        },
        ChainEvent::FeedRestored { tip: BLOCK, at: AT },
        ChainEvent::AuditPassed {
            tip: BLOCK,
            blocks: 289,
            transactions: 54_866,
            at: AT,
        },
    ]
}

fn transactions() -> [ChainEvent; 8] {
    let touch = Touch {
        script_hash: SCRIPT_HASH,
        received_sat: 2_100_000_000_000_000,
        spent_sat: 546,
        outputs: vec![(0, 2_099_999_999_999_000), (300, 1_000)],
    };
    let inputs = vec![OutPoint {
        txid: Txid::new([0xcb; 32]),
        vout: 1,
    }];
    [
        ChainEvent::TransactionSeen {
            txid: TXID,
            touch: touch.clone(),
            inputs: inputs.clone(),
            incarnation: 1,
            at: AT,
        },
        ChainEvent::TransactionConfirmed {
            txid: TXID,
            touch,
            inputs,
            block: BLOCK,
            index: 300,
            backfilled: true,
        },
        ChainEvent::TransactionUnconfirmed {
            txid: TXID,
            script_hash: SCRIPT_HASH,
            block: BLOCK,
            was_final: true,
        },
        ChainEvent::DepthReached {
            txid: TXID,
            script_hash: SCRIPT_HASH,
            depth: 6,
            block: BLOCK,
        },
        ChainEvent::TransactionFinal {
            txid: TXID,
            script_hash: SCRIPT_HASH,
            depth: 144,
            block: BLOCK,
        },
        ChainEvent::CoinbaseMatured {
            txid: TXID,
            script_hash: SCRIPT_HASH,
            block: BLOCK,
        },
        ChainEvent::TransactionReplaced {
            txid: TXID,
            script_hash: SCRIPT_HASH,
            incarnation: 2,
            by: Txid::new([0xcc; 32]),
            via: ReplacedVia::Ancestor,
            replaced_in: ReplacedIn::Block,
        },
        ChainEvent::TransactionEvicted {
            txid: TXID,
            script_hash: SCRIPT_HASH,
            incarnation: 2,
        },
    ]
}

fn history() -> [HistoryEvent; 7] {
    [
        HistoryEvent::BackfillStarted {
            scripts: vec![SCRIPT_HASH],
            wanted: 300,
            wanted_time_secs: 1_300_000_000,
            from: 800_000,
            at: AT,
        },
        HistoryEvent::CoinFound {
            script_hash: SCRIPT_HASH,
            outpoint: OutPoint {
                txid: TXID,
                vout: 300,
            },
            value_sat: 5_000_000_000,
            height: 500,
            coinbase: true,
        },
        HistoryEvent::CoinGone {
            script_hash: SCRIPT_HASH,
            outpoint: OutPoint {
                txid: TXID,
                vout: 300,
            },
        },
        HistoryEvent::TransactionAmended {
            txid: TXID,
            touch: Touch {
                script_hash: SCRIPT_HASH,
                received_sat: 0,
                spent_sat: 546,
                outputs: vec![],
            },
            inputs: vec![OutPoint {
                txid: Txid::new([0xcb; 32]),
                vout: 1,
            }],
        },
        HistoryEvent::BackfillAdvanced { through: BLOCK },
        HistoryEvent::BackfillRaised { from: 810_000 },
        HistoryEvent::BackfillCompleted {
            from: 800_000,
            through: BLOCK,
            at: LATER,
        },
    ]
}
