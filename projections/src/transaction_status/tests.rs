//! The way of a transaction, as a wallet is told.

use satpost_domain::chain::{GapKind, ReplacedVia};
use satpost_domain::ids::BlockHash;
use satpost_domain::limits::TRANSACTION_STEPS_MAX;

use super::*;
use crate::test_log::{TestLog, block, project, script_hash, touch, txid};

fn confirm(log: &mut TestLog, id: u8, script: &[u8], height: u32) {
    log.chain(ChainEvent::TransactionConfirmed {
        txid: txid(id),
        touch: touch(script),
        inputs: Vec::new(),
        block: block(height),
        index: 0,
        backfilled: false,
    });
}

fn connect(log: &mut TestLog, height: u32) {
    log.chain(ChainEvent::BlockConnected {
        block: block(height),
        previous: block(height - 1).hash,
        time_secs: 0,
    });
}

fn states(record: &TransactionRecord) -> Vec<Status> {
    record.steps.iter().map(|step| step.state).collect()
}

fn all(status: &TransactionStatus, scripts: &[&[u8]]) -> Vec<TransactionRecord> {
    let scripts: Vec<_> = scripts.iter().map(|script| script_hash(script)).collect();
    status.changed_since(&scripts, Position::START, usize::MAX)
}

#[test]
fn follows_a_transaction_into_a_block_and_out_of_it() {
    let mut log = TestLog::default();
    log.seen(1, b"a");
    confirm(&mut log, 1, b"a", 7);
    log.chain(ChainEvent::TransactionUnconfirmed {
        txid: txid(1),
        script_hash: script_hash(b"a"),
        block: block(7),
        was_final: false,
    });
    log.chain(ChainEvent::TransactionReplaced {
        txid: txid(1),
        script_hash: script_hash(b"a"),
        incarnation: 1,
        by: txid(2),
        via: ReplacedVia::Direct,
        replaced_in: ReplacedIn::Block,
    });
    log.seen(1, b"a");
    log.evicted(1, b"a");
    let status: TransactionStatus = project(&log);
    let records = all(&status, &[b"a"]);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].received_sat, 5_000);
    assert_eq!(
        states(&records[0]),
        [
            Status::Seen,
            Status::Confirmed { block: block(7) },
            Status::Unconfirmed { block: block(7) },
            Status::Replaced {
                by: txid(2),
                replaced_in: ReplacedIn::Block
            },
            Status::Seen,
            Status::Evicted,
        ]
    );
}

#[test]
fn answers_changes_of_several_scripts_by_the_position_of_the_last_one() {
    let mut log = TestLog::default();
    log.seen(1, b"a");
    log.seen(2, b"b");
    log.seen(3, b"a");
    log.seen(4, b"elsewhere");
    log.evicted(1, b"a");
    let status: TransactionStatus = project(&log);
    let ids = |records: &[TransactionRecord]| -> Vec<_> {
        records.iter().map(|record| record.txid).collect()
    };
    let records = all(&status, &[b"b", b"a", b"a", b"unknown"]);
    assert_eq!(ids(&records), [txid(2), txid(3), txid(1)]);

    let scripts = [script_hash(b"a"), script_hash(b"b")];
    let first = status.changed_since(&scripts, Position::START, 2);
    assert_eq!(ids(&first), [txid(2), txid(3)]);
    let cursor = first[1].steps.last().unwrap().position;
    let second = status.changed_since(&scripts, cursor, 2);
    assert_eq!(ids(&second), [txid(1)]);
    let end = second[0].steps.last().unwrap().position;
    assert_eq!(status.changed_since(&scripts, end, 2), []);
}

#[test]
fn one_transaction_has_a_record_for_each_script_it_touches() {
    let mut log = TestLog::default();
    log.seen(1, b"a");
    log.seen(1, b"b");
    let status: TransactionStatus = project(&log);
    assert_eq!(all(&status, &[b"a", b"b"]).len(), 2);
    assert_eq!(all(&status, &[b"b"]).len(), 1);
}

#[test]
fn keeps_the_first_step_and_the_latest() {
    let mut log = TestLog::default();
    for now in 1..=50 {
        log.now = now;
        log.seen(1, b"a");
    }
    let status: TransactionStatus = project(&log);
    let record = &all(&status, &[b"a"])[0];
    let times: Vec<_> = record
        .steps
        .iter()
        .map(|step| step.recorded_at.as_millis())
        .collect();
    assert_eq!(times.len(), TRANSACTION_STEPS_MAX);
    assert_eq!(times[0], 1);
    assert_eq!(times[1..], (20..=50).collect::<Vec<_>>());
}

#[test]
fn what_happens_to_an_unknown_transaction_is_skipped() {
    let mut log = TestLog::default();
    log.evicted(1, b"a");
    log.seen(2, b"a");
    log.evicted(1, b"a");
    let status: TransactionStatus = project(&log);
    assert_eq!(all(&status, &[b"a"]).len(), 1);
}

#[test]
fn the_tip_moves_with_the_chain_and_back() {
    let mut log = TestLog::default();
    assert_eq!(project::<TransactionStatus>(&log).tip(), None);
    let at = log.at();
    log.chain(ChainEvent::EpochStarted {
        genesis: BlockHash::new([0; 32]),
        tip: block(100),
        at,
    });
    connect(&mut log, 101);
    connect(&mut log, 102);
    assert_eq!(project::<TransactionStatus>(&log).tip(), Some(block(102)));
    log.chain(ChainEvent::BlockDisconnected { block: block(102) });
    log.chain(ChainEvent::BlockDisconnected { block: block(101) });
    assert_eq!(project::<TransactionStatus>(&log).tip(), Some(block(100)));
}

#[test]
fn a_long_chain_is_remembered_as_deep_as_a_reorganisation_can_reach() {
    let mut tip = ChainTip::start(block(1));
    for height in 2..=1_000 {
        tip.connect(block(height), block(height - 1).hash);
    }
    let depth = u32::try_from(satpost_domain::limits::REORG_BLOCKS_MAX).unwrap();
    assert_eq!(tip.recent.len(), depth as usize + 1);
    for height in (1_000 - depth + 1..=1_000).rev() {
        tip.disconnect(block(height));
    }
    assert_eq!(tip.get(), Some(block(1_000 - depth)));
}

#[test]
fn a_gap_is_open_until_the_feed_is_restored() {
    let mut log = TestLog::default();
    let at = log.at();
    log.chain(ChainEvent::FeedGap {
        kind: GapKind::Start,
        at,
    });
    assert!(project::<TransactionStatus>(&log).gap_open());
    log.chain(ChainEvent::FeedRestored { tip: block(1), at });
    assert!(!project::<TransactionStatus>(&log).gap_open());
}

fn reach(log: &mut TestLog, state: Status) {
    let (txid, script_hash) = (txid(1), script_hash(b"a"));
    log.chain(match state {
        Status::DepthReached { depth, block } => ChainEvent::DepthReached {
            txid,
            script_hash,
            depth,
            block,
        },
        Status::Final { block } => ChainEvent::TransactionFinal {
            txid,
            script_hash,
            depth: 144,
            block,
        },
        Status::Matured { block } => ChainEvent::CoinbaseMatured {
            txid,
            script_hash,
            block,
        },
        place => panic!("{place:?} is no milestone"),
    });
}

#[test]
fn a_milestone_is_a_step_and_no_place() {
    let mut log = TestLog::default();
    confirm(&mut log, 1, b"a", 7);
    let milestones = [
        Status::DepthReached {
            depth: 3,
            block: block(9),
        },
        Status::Matured { block: block(106) },
        Status::Final { block: block(150) },
    ];
    for milestone in milestones {
        reach(&mut log, milestone);
    }
    let status: TransactionStatus = project(&log);
    let record = &all(&status, &[b"a"])[0];
    assert_eq!(states(record)[1..], milestones);
    let confirmed = Status::Confirmed { block: block(7) };
    assert_eq!(record.place().map(|step| step.state), Some(confirmed));
    let restored = TransactionStatus::restore(&status.snapshot()).unwrap();
    assert_eq!(all(&restored, &[b"a"]), all(&status, &[b"a"]));
}

#[test]
fn depth_maturity_and_finality_go_back_with_the_tip() {
    let mut log = TestLog::default();
    confirm(&mut log, 1, b"a", 7);
    reach(&mut log, Status::Final { block: block(150) });
    let status: TransactionStatus = project(&log);
    let record = &all(&status, &[b"a"])[0];
    assert_eq!(record.depth(block(150)), Some(144));
    assert!(record.is_final(block(150)) && record.is_final(block(151)));
    assert!(!record.is_final(block(149)));
    assert_eq!(record.is_mature(block(105)), Some(false));
    assert_eq!(record.is_mature(block(106)), Some(true));
    assert_eq!(record.depth(block(7)), Some(1));
    assert_eq!(record.depth(block(6)), None);
}

#[test]
fn a_transaction_outside_of_blocks_has_no_depth_and_is_not_final() {
    let mut log = TestLog::default();
    confirm(&mut log, 1, b"a", 7);
    reach(&mut log, Status::Final { block: block(150) });
    log.chain(ChainEvent::TransactionUnconfirmed {
        txid: txid(1),
        script_hash: script_hash(b"a"),
        block: block(7),
        was_final: true,
    });
    let status: TransactionStatus = project(&log);
    let record = &all(&status, &[b"a"])[0];
    assert_eq!(record.depth(block(160)), None);
    assert_eq!(record.is_mature(block(160)), None);
    assert!(!record.is_final(block(160)));
}

#[test]
fn the_step_that_says_where_it_is_outlives_any_number_of_milestones() {
    let mut log = TestLog::default();
    log.seen(1, b"a");
    confirm(&mut log, 1, b"a", 7);
    for _ in 0..50 {
        let block = block(9);
        reach(&mut log, Status::DepthReached { depth: 3, block });
    }
    let status: TransactionStatus = project(&log);
    let record = &all(&status, &[b"a"])[0];
    assert_eq!(record.steps.len(), TRANSACTION_STEPS_MAX);
    assert_eq!(record.depth(block(9)), Some(3));
}

#[test]
fn tells_every_step_once_and_in_order_however_it_is_asked_for() {
    let mut log = TestLog::default();
    log.seen(1, b"a");
    log.seen(2, b"b");
    log.seen(9, b"elsewhere");
    confirm(&mut log, 1, b"a", 7);
    confirm(&mut log, 2, b"b", 7);
    log.evicted(9, b"elsewhere");
    log.chain(ChainEvent::TransactionUnconfirmed {
        txid: txid(1),
        script_hash: script_hash(b"a"),
        block: block(7),
        was_final: false,
    });
    confirm(&mut log, 1, b"a", 8);
    let status: TransactionStatus = project(&log);
    let scripts = [
        script_hash(b"b"),
        script_hash(b"unknown"),
        script_hash(b"a"),
    ];
    let all = status.steps_since(&scripts, Position::START, usize::MAX);
    let ids: Vec<_> = all.iter().map(|change| change.txid).collect();
    assert_eq!(ids, [1, 2, 1, 2, 1, 1].map(txid));
    assert!(all.is_sorted_by_key(|change| change.step.position));
    for max in 1..=7 {
        let mut told = Vec::new();
        let mut after = Position::START;
        loop {
            let some = status.steps_since(&scripts, after, max);
            let Some(last) = some.last() else { break };
            assert!(some.len() <= max);
            after = last.step.position;
            told.extend(some);
        }
        assert_eq!(told, all, "{max} at a time");
    }
}

#[test]
fn finds_a_transaction_by_the_scripts_it_touches_only() {
    let mut log = TestLog::default();
    log.seen(1, b"a");
    let status: TransactionStatus = project(&log);
    let find = |script: &[u8], id| status.find(&[script_hash(script)], &txid(id));
    assert_eq!(find(b"a", 1).map(|record| record.received_sat), Some(5_000));
    assert_eq!(find(b"a", 2), None);
    assert_eq!(find(b"b", 1), None);
}
