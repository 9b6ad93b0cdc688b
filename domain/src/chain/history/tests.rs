//! Given, when, then, for the back-fill.

use crate::aggregate::Aggregate;
use crate::chain::{
    BlockRef, Chain, ChainCommand, ChainError, ChainEvent, Coin, HistoricBlock, HistoryCommand,
    HistoryEvent, OutPoint, Sighting, Touch, TransactionState,
};
use crate::ids::{BlockHash, ScriptHash, Txid};
use crate::limits::{BACKFILL_SCRIPTS_PER_COMMAND_MAX, EVENTS_PER_COMMAND_MAX};
use crate::time::Timestamp;

const AT: Timestamp = Timestamp::from_millis(9);
const SCRIPT: ScriptHash = ScriptHash::new([4; 32]);

fn block(height: u32, branch: u8) -> BlockRef {
    let mut hash = [branch; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    BlockRef {
        height,
        hash: BlockHash::new(hash),
    }
}

const fn outpoint(name: u8) -> OutPoint {
    OutPoint {
        txid: Txid::new([name; 32]),
        vout: 0,
    }
}

/// Output 0 of the transaction `name` pays 5,000 sat to the script; it spends `inputs`.
fn payment(name: u8, spent_sat: u64, inputs: Vec<OutPoint>) -> Sighting {
    Sighting {
        txid: Txid::new([name; 32]),
        index: 1,
        touches: vec![Touch {
            script_hash: SCRIPT,
            received_sat: 5_000,
            spent_sat,
            outputs: vec![(0, 5_000)],
        }],
        inputs,
    }
}

fn start(scripts: Vec<ScriptHash>, from: u32) -> ChainCommand {
    history(HistoryCommand::Start {
        scripts,
        wanted: from,
        wanted_time_secs: 0,
        from,
        at: AT,
    })
}

fn history(command: HistoryCommand) -> ChainCommand {
    ChainCommand::History(command)
}

fn record(blocks: Vec<(BlockRef, Vec<Sighting>)>, through: Option<BlockRef>) -> ChainCommand {
    let blocks = blocks.into_iter();
    history(HistoryCommand::Record {
        blocks: blocks
            .map(|(block, sightings)| HistoricBlock {
                block,
                sightings,
                amended: Vec::new(),
            })
            .collect(),
        through,
    })
}

fn complete(through: BlockRef) -> ChainCommand {
    history(HistoryCommand::Complete { through, at: AT })
}

fn connect(at: BlockRef, on: BlockRef, sightings: Vec<Sighting>) -> ChainCommand {
    ChainCommand::ConnectBlock {
        block: at,
        previous: on.hash,
        time_secs: 0,
        sightings,
        conflicts: Vec::new(),
        depths: Vec::new(),
        final_depth: 6,
    }
}

/// A chain that is followed from `height` on.
fn following(height: u32) -> Chain {
    let mut chain = Chain::default();
    when(
        &mut chain,
        &ChainCommand::Start {
            genesis: block(0, 0).hash,
            tip: block(height, 0),
            at: AT,
        },
    );
    chain
}

fn extend(chain: &mut Chain, branch: u8) {
    let tip = chain.tip().unwrap();
    when(chain, &connect(block(tip.height + 1, branch), tip, vec![]));
}

fn when(chain: &mut Chain, command: &ChainCommand) -> Vec<ChainEvent> {
    let events = chain.decide(command).expect("the command is accepted");
    for event in &events {
        chain.evolve(event);
    }
    events
}

fn refused(chain: &Chain, command: &ChainCommand) -> ChainError {
    chain.decide(command).expect_err("it must be refused")
}

fn found(sighting: &Sighting, at: BlockRef) -> ChainEvent {
    ChainEvent::TransactionConfirmed {
        txid: sighting.txid,
        touch: sighting.touches[0].clone(),
        inputs: sighting.inputs.clone(),
        block: at,
        index: sighting.index,
        backfilled: true,
    }
}

fn next(chain: &Chain) -> u32 {
    chain.backfill().expect("a back-fill runs").next()
}

#[test]
fn records_what_confirmed_before_and_moves_its_cursor_in_the_same_append() {
    let mut chain = following(100);
    when(&mut chain, &start(vec![SCRIPT], 90));
    let paid = payment(1, 0, vec![]);
    let found_at = vec![(block(95, 0), vec![paid.clone()])];
    let command = record(found_at, Some(block(100, 0)));
    let advanced = HistoryEvent::BackfillAdvanced {
        through: block(100, 0),
    };
    assert_eq!(
        when(&mut chain, &command),
        [found(&paid, block(95, 0)), advanced.into()]
    );
    assert_eq!(chain.decide(&command), Ok(vec![]), "a repeat does nothing");
    when(&mut chain, &complete(block(100, 0)));
    assert_eq!(chain.backfill(), None);
    assert!(chain.coin(&outpoint(1)).is_some());
}

#[test]
fn leaves_out_scripts_of_others_and_what_the_watcher_recorded() {
    let mut chain = following(100);
    let live = payment(1, 0, vec![]);
    let tip = block(101, 0);
    when(&mut chain, &connect(tip, block(100, 0), vec![live.clone()]));
    when(&mut chain, &start(vec![SCRIPT], 100));
    let mut other = payment(2, 0, vec![]);
    other.touches[0].script_hash = ScriptHash::new([5; 32]);
    let events = when(
        &mut chain,
        &record(vec![(tip, vec![live, other])], Some(tip)),
    );
    let advanced = HistoryEvent::BackfillAdvanced { through: tip };
    assert_eq!(events, [advanced.into()]);
}

#[test]
fn amends_what_the_watcher_could_not_know() {
    let mut chain = following(100);
    let change = payment(2, 0, vec![outpoint(1)]);
    let tip = block(101, 0);
    when(&mut chain, &connect(tip, block(100, 0), vec![change]));
    when(&mut chain, &start(vec![SCRIPT], 100));
    let full = payment(2, 5_000, vec![outpoint(1)]);
    let command = record(vec![(tip, vec![full.clone()])], None);
    let amended = HistoryEvent::TransactionAmended {
        txid: full.txid,
        touch: full.touches[0].clone(),
        inputs: full.inputs.clone(),
    };
    assert_eq!(when(&mut chain, &command), [amended.into()]);
    assert_eq!(chain.decide(&command), Ok(vec![]), "once is enough");
}

#[test]
fn amends_what_waits_in_the_mempool_as_well() {
    let mut chain = following(100);
    let see = |sighting| ChainCommand::SeeTransactions {
        sightings: vec![sighting],
        at: AT,
    };
    when(&mut chain, &see(payment(2, 0, vec![outpoint(1)])));
    let full = payment(2, 5_000, vec![outpoint(1)]);
    let amended = HistoryEvent::TransactionAmended {
        txid: full.txid,
        touch: full.touches[0].clone(),
        inputs: full.inputs.clone(),
    };
    assert_eq!(when(&mut chain, &see(full.clone())), [amended.into()]);
    assert_eq!(chain.decide(&see(full)), Ok(vec![]));
}

#[test]
fn reads_again_what_a_reorganisation_took_back() {
    let mut chain = following(100);
    extend(&mut chain, 0);
    extend(&mut chain, 0);
    when(&mut chain, &start(vec![SCRIPT], 95));
    let paid = payment(1, 0, vec![]);
    let at = block(102, 0);
    when(
        &mut chain,
        &record(vec![(at, vec![paid.clone()])], Some(at)),
    );
    assert_eq!(next(&chain), 103);

    let disconnect = ChainCommand::DisconnectBlock { hash: at.hash };
    when(&mut chain, &disconnect);
    assert_eq!(next(&chain), 102);
    let in_mempool = Some(TransactionState::Mempool);
    let state = |chain: &Chain| chain.tracked(&paid.txid).map(|tracked| tracked.state);
    assert_eq!(state(&chain), in_mempool);
    extend(&mut chain, 1);
    let stale = record(vec![(at, vec![paid.clone()])], Some(at));
    assert_eq!(
        refused(&chain, &stale),
        ChainError::NotInChain { block: at }
    );
}

#[test]
fn takes_back_what_it_found_below_the_blocks_that_are_remembered() {
    let mut chain = following(400);
    when(&mut chain, &start(vec![SCRIPT], 390));
    let paid = payment(1, 0, vec![]);
    let at = block(395, 0);
    when(
        &mut chain,
        &record(vec![(at, vec![paid.clone()])], Some(block(400, 0))),
    );
    let again = ChainCommand::Start {
        genesis: block(0, 0).hash,
        tip: block(392, 0),
        at: AT,
    };
    let events = when(&mut chain, &again);
    let unconfirmed = |event: &ChainEvent| matches!(event, ChainEvent::TransactionUnconfirmed { block, .. } if *block == at);
    assert!(events.iter().any(unconfirmed), "{events:?}");
    assert_eq!(next(&chain), 393);
}

#[test]
fn keeps_nothing_of_a_transaction_that_can_no_longer_change_but_its_coins() {
    let mut chain = following(1_000);
    when(&mut chain, &start(vec![SCRIPT], 0));
    let paid = payment(1, 0, vec![]);
    let spending = payment(2, 5_000, vec![outpoint(1)]);
    let found_at = vec![
        (block(5, 0), vec![paid.clone()]),
        (block(6, 0), vec![spending.clone()]),
    ];
    when(&mut chain, &record(found_at, Some(block(700, 0))));
    assert_eq!(chain.all_tracked().count(), 0);
    assert_eq!(chain.coin(&outpoint(1)), None);
    assert!(chain.coin(&outpoint(2)).is_some());
}

#[test]
fn takes_coins_of_the_nodes_set_once() {
    let mut chain = following(1_000);
    when(&mut chain, &start(vec![SCRIPT], 900));
    let coin = |script_hash| Coin {
        script_hash,
        value_sat: 7,
    };
    let stranger = coin(ScriptHash::new([9; 32]));
    let command = history(HistoryCommand::FindCoins {
        coins: vec![
            (outpoint(1), coin(SCRIPT), 20, true),
            (outpoint(1), coin(SCRIPT), 20, true),
            (outpoint(2), stranger, 20, false),
        ],
    });
    let expected = HistoryEvent::CoinFound {
        script_hash: SCRIPT,
        outpoint: outpoint(1),
        value_sat: 7,
        height: 20,
        coinbase: true,
    };
    assert_eq!(when(&mut chain, &command), [expected.into()]);
    assert_eq!(chain.decide(&command), Ok(vec![]));
    assert_eq!(chain.coin(&outpoint(1)), Some(coin(SCRIPT)));
}

#[test]
fn takes_more_scripts_until_it_has_read_something() {
    let other = ScriptHash::new([5; 32]);
    let mut chain = following(100);
    when(&mut chain, &start(vec![SCRIPT], 90));
    assert_eq!(chain.decide(&start(vec![SCRIPT], 90)), Ok(vec![]));
    let another_range = start(vec![other], 80);
    let runs = ChainError::BackfillRuns { next: 90 };
    assert_eq!(refused(&chain, &another_range), runs);
    when(&mut chain, &start(vec![other, SCRIPT], 90));
    assert_eq!(chain.backfill().unwrap().scripts().len(), 2);
    when(&mut chain, &record(vec![], Some(block(95, 0))));
    let late = start(vec![ScriptHash::new([6; 32])], 90);
    let runs = ChainError::BackfillRuns { next: 96 };
    assert_eq!(refused(&chain, &late), runs);
}

#[test]
fn rises_with_the_blocks_that_the_node_has() {
    let mut chain = following(1_000);
    when(&mut chain, &start(vec![SCRIPT], 100));
    let raise = |from| history(HistoryCommand::Raise { from });
    when(&mut chain, &raise(600));
    assert_eq!((next(&chain), chain.backfill().unwrap().from()), (600, 600));
    assert_eq!(chain.decide(&raise(600)), Ok(vec![]));
    assert_eq!(chain.decide(&raise(500)), Ok(vec![]));
}

#[test]
fn lets_go_of_coins_that_a_forgotten_block_has_spent_as_of_the_tip_only() {
    let mut chain = following(1_000);
    when(&mut chain, &start(vec![SCRIPT], 100));
    let coin = Coin {
        script_hash: SCRIPT,
        value_sat: 700,
    };
    let coins = vec![(outpoint(1), coin, 500, false)];
    when(&mut chain, &history(HistoryCommand::FindCoins { coins }));
    let drop = |tip| {
        let unknown = (SCRIPT, outpoint(2));
        let foreign = (ScriptHash::new([5; 32]), outpoint(1));
        let coins = vec![
            (SCRIPT, outpoint(1)),
            unknown,
            foreign,
            (SCRIPT, outpoint(1)),
        ];
        history(HistoryCommand::DropCoins { coins, tip })
    };
    let old = block(999, 0);
    let refusal = ChainError::NotTheTip { hash: old.hash };
    assert_eq!(refused(&chain, &drop(old)), refusal);
    let tip = block(1_000, 0);
    let gone = HistoryEvent::CoinGone {
        script_hash: SCRIPT,
        outpoint: outpoint(1),
    };
    assert_eq!(when(&mut chain, &drop(tip)), [gone.into()]);
    assert_eq!(chain.coin(&outpoint(1)), None);
    assert_eq!(
        chain.decide(&drop(tip)),
        Ok(vec![]),
        "a repeat does nothing"
    );
}

#[test]
fn a_birthday_above_the_tip_leaves_nothing_to_read() {
    let mut chain = following(100);
    when(&mut chain, &start(vec![SCRIPT], 144));
    let events = when(&mut chain, &complete(block(100, 0)));
    assert_eq!(events.len(), 1);
}

#[test]
fn refuses_what_does_not_fit() {
    let mut chain = following(100);
    let none = ChainError::NoBackfill;
    assert_eq!(refused(&chain, &record(vec![], None)), none);
    assert_eq!(refused(&chain, &complete(block(100, 0))), none);
    for actual in [0, BACKFILL_SCRIPTS_PER_COMMAND_MAX + 1] {
        let scripts = vec![SCRIPT; actual];
        let refusal = ChainError::BackfillScripts { actual };
        assert_eq!(refused(&chain, &start(scripts, 0)), refusal);
    }
    when(&mut chain, &start(vec![SCRIPT], 50));
    let above = block(101, 0);
    let refusal = ChainError::NotInChain { block: above };
    assert_eq!(refused(&chain, &record(vec![], Some(above))), refusal);
    let backwards = vec![(block(60, 0), vec![]), (block(59, 0), vec![])];
    let refusal = ChainError::BackfillOrder {
        block: block(59, 0),
        next: 61,
    };
    let through = Some(block(70, 0));
    assert_eq!(refused(&chain, &record(backwards, through)), refusal);
    let early = ChainError::BackfillOrder {
        block: block(100, 0),
        next: 50,
    };
    assert_eq!(refused(&chain, &complete(block(100, 0))), early);
}

#[test]
fn records_no_more_than_an_append_holds() {
    let mut chain = following(100);
    when(&mut chain, &start(vec![SCRIPT], 50));
    let many = (0..=EVENTS_PER_COMMAND_MAX).map(|number| {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Sighting {
            txid: Txid::new(bytes),
            ..payment(1, 0, vec![])
        }
    });
    let actual = EVENTS_PER_COMMAND_MAX + 1;
    let command = record(vec![(block(60, 0), many.collect())], None);
    let refusal = ChainError::BackfillEvents { actual };
    assert_eq!(refused(&chain, &command), refusal);
}
