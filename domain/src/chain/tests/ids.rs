//! Ids computed from content.

use super::*;
use crate::ids::EventId;

#[test]
fn gives_the_same_event_the_same_id_on_every_server() {
    let id: EventId = event_id(GENESIS, &confirmed(1, 4, block(101, 0)));
    let elsewhere = ChainEvent::TransactionConfirmed {
        txid: txid(1),
        // Another server may know more of the coins that the transaction spends.
        touch: Touch {
            spent_sat: 9,
            ..pays(4)
        },
        inputs: vec![],
        block: block(101, 0),
        index: 3,
        backfilled: true,
    };
    assert_eq!(event_id(GENESIS, &elsewhere), id);
    // Stored ids are a promise: this one was computed by hand and must never change.
    assert_eq!(id.to_string(), "d6a0248a564f9774afe96d45e2e5d393");
}

#[test]
fn gives_different_events_different_ids() {
    let at = block(101, 0);
    let unconfirmed = ChainEvent::TransactionUnconfirmed {
        txid: txid(1),
        script_hash: script(4),
        block: at,
        was_final: false,
    };
    let (txid_1, script_hash) = (txid(1), script(4));
    let events = [
        confirmed(1, 4, at),
        confirmed(1, 4, block(101, 1)),
        confirmed(1, 5, at),
        confirmed(2, 4, at),
        unconfirmed,
        seen(1, 4, 1),
        seen(1, 4, 2),
        evicted(1, 4, 1),
        connected(at, block(100, 0)),
        ChainEvent::BlockDisconnected { block: at },
        ChainEvent::DepthReached {
            txid: txid_1,
            script_hash,
            depth: 3,
            block: at,
        },
        ChainEvent::TransactionFinal {
            txid: txid_1,
            script_hash,
            depth: 3,
            block: at,
        },
        ChainEvent::CoinbaseMatured {
            txid: txid_1,
            script_hash,
            block: at,
        },
        ChainEvent::AuditPassed {
            tip: at,
            blocks: 1,
            transactions: 1,
            at: AT,
        },
    ];
    let ids: std::collections::BTreeSet<EventId> = events
        .iter()
        .map(|event| event_id(GENESIS, event))
        .collect();
    assert_eq!(ids.len(), events.len());
    let elsewhere = event_id(BlockHash::new([0; 32]), &events[0]);
    assert!(!ids.contains(&elsewhere));
}
