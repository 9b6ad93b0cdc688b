//! The handler over a log that fails: senders and a recipient work at the same time through several
//! servers that crash, on appends that conflict, are refused, or end nobody knows how. Everyone
//! repeats a command until it is answered, and in the end each has happened exactly once.

mod cluster;
mod plan;
mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use satpost_commands::add_delivery_tokens::add_delivery_tokens;
use satpost_commands::register_client::register_client;
use satpost_commands::send_message::AcceptedMessage;
use satpost_commands::testing::CONTACT;
use satpost_domain::mailbox::{Mailbox, MailboxEvent};
use satpost_domain::{
    Aggregate as _, ClientId, CommandId, Event, MessagingKey, PayloadId, StreamId,
};

use crate::support::config;
use cluster::{Cluster, context};
use plan::plan;
use queue::Queue;

const ALICE: ClientId = ClientId::from_stored([1; 32]);
const KEY: MessagingKey = MessagingKey::from_stored([2; 32]);

/// Lets everyone work at the same time, and gives the senders' answers.
async fn live(cluster: &Arc<Cluster>) -> BTreeMap<CommandId, AcceptedMessage> {
    let opened = cluster.insist(|handler| async move {
        register_client(&handler, context(0, 0), ALICE, KEY).await
    });
    opened.await.expect("nobody else registers");
    let befriended = cluster.insist(|handler| async move {
        add_delivery_tokens(&handler, context(u64::MAX, 0), KEY, vec![CONTACT]).await
    });
    befriended.await.expect("there is room for a token");

    let mut tasks = tokio::task::JoinSet::new();
    for (sender, count) in cluster.plan.senders.iter().copied().enumerate() {
        let cluster = Arc::clone(cluster);
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for number in 0..count {
                answers.push(cluster.send(sender, number).await);
            }
            answers
        });
    }
    let recipient = Arc::clone(cluster);
    tasks.spawn(async move {
        for (round, step) in (0..).zip(&recipient.plan.steps) {
            recipient.receive(round, step).await;
        }
        Vec::new()
    });
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Whatever went wrong: what the senders were told is what happened, once.
async fn check(cluster: &Cluster, answers: &BTreeMap<CommandId, AcceptedMessage>) {
    let history = cluster.history();
    let mut accepted = BTreeMap::new();
    for envelope in &history {
        if let Event::Mailbox(MailboxEvent::MessageAccepted {
            id,
            digest,
            at,
            expires_at,
            ..
        }) = &envelope.event
        {
            let facts = (*id, *digest, *at, *expires_at, envelope.position);
            let first = accepted.insert(envelope.metadata.command_id, facts);
            assert_eq!(first, None, "a send happened twice");
        }
    }
    let told: BTreeMap<_, _> = answers
        .iter()
        .map(|(command, told)| {
            (
                *command,
                (
                    told.id,
                    told.digest,
                    told.accepted_at,
                    told.expires_at,
                    told.position,
                ),
            )
        })
        .collect();
    assert_eq!(accepted, told);

    let queue = Queue::of(&history);
    let seqs: Vec<u64> = queue.accepted.iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(
        seqs,
        (1..=answers.len() as u64).collect::<Vec<_>>(),
        "no gap, no repeat"
    );
    assert!(
        queue.ended.values().all(|times| *times == 1),
        "a message ended more than once"
    );

    let mut erased = cluster.log.erased();
    erased.sort();
    let ended: Vec<PayloadId> = queue.ended.keys().copied().map(Into::into).collect();
    assert_eq!(
        erased, ended,
        "each body was erased once, when its message ended"
    );
    let held = queue
        .waiting
        .iter()
        .chain(&queue.parked)
        .copied()
        .map(Into::into);
    assert_eq!(cluster.log.held(), held.collect::<BTreeSet<PayloadId>>());

    let mut folded = Mailbox::default();
    for event in history
        .iter()
        .filter_map(|envelope| Mailbox::own_event(&envelope.event))
    {
        folded.evolve(event);
    }
    let servers = cluster.servers.lock().unwrap().clone();
    for server in servers.into_iter().chain([cluster.start()]) {
        let live = server
            .state::<Mailbox>(&StreamId::mailbox(KEY))
            .await
            .unwrap();
        assert_eq!(*live, folded, "every server folds the same");
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn everything_happens_exactly_once_whatever_goes_wrong(plan in plan()) {
        // One thread and a clock that stands still unless all wait: the plan decides everything.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let cluster = Arc::new(Cluster::new(plan));
            let answers = live(&cluster).await;
            cluster.log.work_again();
            check(&cluster, &answers).await;
        });
    }
}
