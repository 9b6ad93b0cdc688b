//! One event in a few words.

use satpost_domain::WatchId;
use satpost_domain::chain::{ChainEvent, HistoryEvent, ReplacedIn};
use satpost_domain::client::{ClientEvent, PushDeathReason};
use satpost_domain::mailbox::{GoneReason, MailboxEvent, ParkReason, StrangerPolicy};
use satpost_domain::watchlist::{Birthday, WatchOptions};

use super::moment::utc;

pub(super) fn client(event: &ClientEvent) -> String {
    match event {
        ClientEvent::ClientRegistered { messaging_key, .. } => {
            format!("registered with the messaging key {messaging_key}")
        }
        ClientEvent::MessagingKeyRotated { to, .. } => {
            format!("rotated its messaging key to {to}")
        }
        ClientEvent::PushTargetSet {
            id,
            registration,
            code_expires_at,
            ..
        } => {
            let erased = if registration.as_option().is_some() {
                ""
            } else {
                " (it is erased now)"
            };
            let until = utc(*code_expires_at);
            format!("set the push target {id}{erased}; its code is good until {until}")
        }
        ClientEvent::PushTargetVerified { id, .. } => format!("verified the push target {id}"),
        ClientEvent::PushCodeRefused { id, .. } => {
            format!("sent a wrong code for the push target {id}")
        }
        ClientEvent::PushTargetRemoved { id, .. } => format!("removed the push target {id}"),
        ClientEvent::PushTargetDead { id, reason, .. } => {
            let why = match reason {
                PushDeathReason::Gone => "its push service does not know it any more",
                PushDeathReason::Refused => "its push service refuses it",
                PushDeathReason::Forbidden => "it may not be connected to",
            };
            format!("the push target {id} is dead: {why}")
        }
        ClientEvent::PushWoken { id, through, .. } => {
            format!(
                "was woken through the push target {id}, for everything up to trigger {through}"
            )
        }
        ClientEvent::ClientRetired { .. } => "was retired".to_owned(),
    }
}

pub(super) fn mailbox(event: &MailboxEvent) -> String {
    match event {
        MailboxEvent::MailboxOpened { .. } => "its mailbox was opened".to_owned(),
        MailboxEvent::MessageAccepted {
            seq,
            size,
            knock,
            expires_at,
            ..
        } => format!(
            "message {seq} came{}, of {} bytes; it waits until {}",
            if *knock { " from a stranger" } else { "" },
            size.bytes(),
            utc(*expires_at)
        ),
        MailboxEvent::MailboxForwarded { to, until, .. } => format!(
            "its mailbox passes messages on to the key {to} until {}",
            utc(*until)
        ),
        MailboxEvent::MailboxReopened { .. } => "its mailbox is in use again".to_owned(),
        MailboxEvent::StrangerPolicyChanged { policy, .. } => {
            let what = match policy {
                StrangerPolicy::Refuse => "are refused",
                StrangerPolicy::Knock => "may knock",
                StrangerPolicy::Open => "are let in",
            };
            format!("said that strangers {what}")
        }
        MailboxEvent::DeliveryTokensAdded { tokens, .. } => {
            format!("added {} delivery tokens", tokens.len())
        }
        MailboxEvent::DeliveryTokensRevoked { hashes, .. } => {
            format!("revoked {} delivery tokens", hashes.len())
        }
        MailboxEvent::DeliveryTokenSpent { .. } => {
            "a delivery token for one message was spent".to_owned()
        }
        MailboxEvent::MailboxFilled { .. } => {
            "its mailbox is full: a message was turned away".to_owned()
        }
        MailboxEvent::MailboxHasRoom { .. } => "its mailbox has room again".to_owned(),
        MailboxEvent::MessageParked { seq, reason, .. } => {
            let why = match reason {
                ParkReason::Decrypt => "it does not decrypt",
                ParkReason::Format => "its form is not known",
                ParkReason::Other => "for another reason",
            };
            format!("set message {seq} aside: {why}")
        }
        MailboxEvent::MessagesAcknowledged { through, count, .. } => {
            format!("acknowledged {count} messages, up to message {through}; they are erased")
        }
        MailboxEvent::ParkedMessagesAcknowledged { seqs, .. } => {
            format!("acknowledged the parked messages {seqs:?}; they are erased")
        }
        MailboxEvent::MessageGone { seq, reason, .. } => {
            let why = match reason {
                GoneReason::Expired => "expired",
                GoneReason::Wiped => "was wiped",
            };
            format!("message {seq} {why}; it is erased")
        }
        MailboxEvent::MailboxClosed { .. } => "its mailbox was closed".to_owned(),
    }
}

pub(super) fn watched(id: &WatchId, address: Option<&str>) -> String {
    match address {
        Some(address) => format!("watches {address}"),
        None => format!("watched an address that is erased now (entry {id})"),
    }
}

pub(super) fn watch_options_changed(id: &WatchId, options: &WatchOptions) -> String {
    let depths: Vec<_> = options
        .depths
        .iter()
        .map(|depth: u32| depth.to_string())
        .collect();
    let depths = match depths.as_slice() {
        [] => "at no depth".to_owned(),
        depths => format!("at the depths {}", depths.join(", ")),
    };
    let birthday = match options.birthday {
        Some(Birthday::Height(height)) => format!("and its history from block {height} on"),
        Some(Birthday::Time(at)) => format!("and its history from {at} on"),
        None => "and no history".to_owned(),
    };
    format!("wants to hear of entry {id} {depths} {birthday}")
}

pub(super) fn unwatched(id: &WatchId) -> String {
    format!("watches entry {id} no longer; its address is erased")
}

pub(super) fn chain(event: &ChainEvent, address: &str) -> String {
    match event {
        ChainEvent::TransactionSeen { txid, touch, .. } => format!(
            "transaction {txid} is in the mempool: pays {} sat to {address}, takes {} sat from it",
            touch.received_sat, touch.spent_sat
        ),
        ChainEvent::TransactionConfirmed {
            txid, touch, block, ..
        } => format!(
            "transaction {txid} is in block {}: pays {} sat to {address}, takes {} sat from it",
            block.height, touch.received_sat, touch.spent_sat
        ),
        ChainEvent::History(HistoryEvent::TransactionAmended { txid, touch, .. }) => format!(
            "transaction {txid} takes {} sat from {address}, as is known now",
            touch.spent_sat
        ),
        ChainEvent::History(HistoryEvent::CoinFound {
            outpoint,
            value_sat,
            height,
            ..
        }) => format!(
            "a coin of {value_sat} sat at {address} is known: output {} of {} in block {height}",
            outpoint.vout, outpoint.txid
        ),
        ChainEvent::History(HistoryEvent::CoinGone { outpoint, .. }) => format!(
            "the coin at {address} is spent, in a block that the node had forgotten: output {} of {}",
            outpoint.vout, outpoint.txid
        ),
        ChainEvent::TransactionUnconfirmed {
            txid,
            block,
            was_final,
            ..
        } => {
            let was = if *was_final { ", which was final," } else { "" };
            format!(
                "block {} of transaction {txid}{was} was taken back",
                block.height
            )
        }
        ChainEvent::DepthReached {
            txid, depth, block, ..
        } => format!(
            "transaction {txid} is {depth} blocks deep with block {}",
            block.height
        ),
        ChainEvent::TransactionFinal {
            txid, depth, block, ..
        } => format!(
            "transaction {txid} is final, {depth} blocks deep with block {}",
            block.height
        ),
        ChainEvent::CoinbaseMatured { txid, block, .. } => format!(
            "coinbase {txid} can be spent by the block after {}",
            block.height
        ),
        ChainEvent::TransactionReplaced {
            txid,
            by,
            replaced_in,
            ..
        } => {
            let place = match replaced_in {
                ReplacedIn::Mempool => "in the mempool",
                ReplacedIn::Block => "in a block",
            };
            format!("transaction {txid} was replaced by {by} {place}")
        }
        ChainEvent::TransactionEvicted { txid, .. } => {
            format!("transaction {txid} was dropped from the mempool")
        }
        ChainEvent::EpochStarted { .. }
        | ChainEvent::BlockConnected { .. }
        | ChainEvent::BlockDisconnected { .. }
        | ChainEvent::AuditPassed { .. }
        | ChainEvent::FeedGap { .. }
        | ChainEvent::FeedRestored { .. }
        | ChainEvent::History(_) => "something happened on the chain".to_owned(),
    }
}
