//! Against the `bitcoin` crate; blocks of a real node are in the regtest tests.

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash as _;
use bitcoin::{Block, Transaction, TxOut, Witness};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::bitcoind::convert;
use crate::bitcoind::test_blocks::{block, coinbase, encode_spent, output, transaction};

/// A transaction as the visitor was shown it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Shown {
    txid: Option<Txid>,
    inputs: Vec<OutPoint>,
    outputs: Vec<(u32, u64, Vec<u8>)>,
    spent: Vec<(u64, Vec<u8>)>,
}

#[derive(Default)]
struct Everything {
    shown: Vec<Shown>,
    present: Shown,
}

impl Visitor for Everything {
    fn input(&mut self, raw: &RawOutPoint) {
        self.present.inputs.push(outpoint(raw));
    }

    fn output(&mut self, vout: u32, value_sat: u64, script: &[u8]) {
        self.present
            .outputs
            .push((vout, value_sat, script.to_vec()));
    }

    fn spent(&mut self, value_sat: u64, script: &[u8]) {
        self.present.spent.push((value_sat, script.to_vec()));
    }

    fn transaction(&mut self, transaction: &RawTransaction<'_>) {
        let mut shown = std::mem::take(&mut self.present);
        assert_eq!(transaction.index() as usize, self.shown.len());
        if transaction.index() == 0 {
            assert!(transaction.inputs().is_empty(), "a coinbase spends nothing");
        } else {
            assert_eq!(transaction.inputs(), shown.inputs);
        }
        shown.txid = Some(transaction.txid());
        self.shown.push(shown);
    }
}

fn show(block: &[u8], spent: Option<&[u8]>) -> Result<(Header, Vec<Shown>), MalformedBlock> {
    let mut everything = Everything::default();
    let header = walk(block, spent, &mut everything)?;
    Ok((header, everything.shown))
}

/// What the `bitcoin` crate says.
fn expected(block: &Block, spent: &[Vec<TxOut>]) -> Vec<Shown> {
    let shown = |(transaction, spent): (&Transaction, &Vec<TxOut>)| Shown {
        txid: Some(convert::txid(transaction.compute_txid())),
        inputs: transaction
            .input
            .iter()
            .map(|input| convert::outpoint(&input.previous_output))
            .collect(),
        outputs: (0..)
            .zip(&transaction.output)
            .map(|(vout, output)| {
                let script = output.script_pubkey.to_bytes();
                (vout, output.value.to_sat(), script)
            })
            .collect(),
        spent: spent
            .iter()
            .map(|output| (output.value.to_sat(), output.script_pubkey.to_bytes()))
            .collect(),
    };
    block.txdata.iter().zip(spent).map(shown).collect()
}

/// Mostly short, sometimes so long that its length takes three bytes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 250..300)]
}

fn arbitrary_transaction() -> impl Strategy<Value = Transaction> {
    let coin = (any::<[u8; 32]>(), any::<u32>()).prop_map(|(txid, vout)| OutPoint {
        txid: Txid::new(txid),
        vout,
    });
    let input = (coin, bytes(), any::<u32>(), vec(bytes(), 0..3));
    let output = (any::<u64>(), bytes());
    let parts = (
        any::<i32>(),
        any::<u32>(),
        vec(input, 1..4),
        vec(output, 0..4),
    );
    parts.prop_map(|(version, lock_time, inputs, outputs)| {
        let coins: Vec<OutPoint> = inputs.iter().map(|input| input.0).collect();
        let outputs: Vec<(&[u8], u64)> = outputs
            .iter()
            .map(|(value, script)| (script.as_slice(), *value))
            .collect();
        let mut transaction = transaction(&coins, &outputs);
        transaction.version.0 = version;
        transaction.lock_time = bitcoin::absolute::LockTime::from_consensus(lock_time);
        for (input, (_, script, sequence, witness)) in transaction.input.iter_mut().zip(inputs) {
            input.script_sig = script.into();
            input.sequence.0 = sequence;
            input.witness = Witness::from(witness);
        }
        transaction
    })
}

/// A block, and an output for each input.
fn arbitrary_block() -> impl Strategy<Value = (Block, Vec<Vec<TxOut>>)> {
    let spent = || vec((any::<u64>(), bytes()), 4);
    let transactions = vec((arbitrary_transaction(), spent()), 0..5);
    (any::<[u8; 32]>(), any::<u32>(), transactions).prop_map(|(previous, number, transactions)| {
        let previous = bitcoin::BlockHash::from_byte_array(previous);
        let (mut all, mut all_spent) = (vec![coinbase(number)], vec![Vec::new()]);
        for (transaction, spent) in transactions {
            let spent = spent.iter().take(transaction.input.len());
            all_spent.push(
                spent
                    .map(|(value, script)| output((script, *value)))
                    .collect(),
            );
            all.push(transaction);
        }
        (block(previous, all), all_spent)
    })
}

proptest! {
    #[test]
    fn shows_what_the_bitcoin_crate_shows((block, spent) in arbitrary_block()) {
        let bytes = serialize(&block);
        let (header, shown) = show(&bytes, Some(&encode_spent(&spent))).unwrap();
        prop_assert_eq!(shown, expected(&block, &spent));
        prop_assert_eq!(header.hash, convert::block_hash(block.block_hash()));
        prop_assert_eq!(header.previous, convert::block_hash(block.header.prev_blockhash));
        prop_assert_eq!(header.time_secs, block.header.time);
    }

    #[test]
    fn refuses_a_block_that_was_cut_off((block, spent) in arbitrary_block(), at: prop::sample::Index) {
        let bytes = serialize(&block);
        let spent = encode_spent(&spent);
        let cut = at.index(bytes.len());
        let error = show(&bytes[..cut], Some(&spent)).unwrap_err();
        prop_assert!(error.part == Part::Block && error.offset <= cut, "{}", error);
        let cut = at.index(spent.len());
        let error = show(&bytes, Some(&spent[..cut])).unwrap_err();
        prop_assert!(error.part == Part::SpentOutputs && error.offset <= cut, "{}", error);
    }

    #[test]
    fn refuses_nothing_that_the_bitcoin_crate_reads(
        (block, spent) in arbitrary_block(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = serialize(&block);
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let shown = show(&bytes, None);
        if let Ok(changed) = deserialize::<Block>(&bytes) {
            let nothing = vec![Vec::new(); changed.txdata.len()];
            prop_assert_eq!(shown.map(|(_, shown)| shown), Ok(expected(&changed, &nothing)));
        }
        // Whatever these bytes are: no panic.
        let mut changed = encode_spent(&spent);
        for (at, byte) in &changes {
            let at = at.index(changed.len());
            changed[at] = *byte;
        }
        drop(show(&serialize(&block), Some(&changed)));
    }

    #[test]
    fn arbitrary_bytes_are_no_reason_to_panic(bytes in vec(any::<u8>(), 0..600), spent in vec(any::<u8>(), 0..50)) {
        drop(show(&bytes, Some(&spent)));
    }
}

/// A header, then these.
fn after_header(rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 80];
    bytes.extend(rest);
    bytes
}

fn problem(bytes: &[u8]) -> (usize, Problem) {
    let error = show(bytes, None).unwrap_err();
    (error.offset, error.problem)
}

#[test]
fn names_the_place_of_a_number_in_a_longer_form_than_needed() {
    for (form, offset) in [
        (&[253, 252, 0][..], 83),
        (&[254, 255, 255, 0, 0], 85),
        (&[255, 255, 255, 255, 255, 0, 0, 0, 0], 89),
    ] {
        let (at, problem) = problem(&after_header(form));
        assert_eq!(at, offset);
        assert!(matches!(problem, Problem::NotShortest { .. }), "{problem}");
    }
}

#[test]
fn does_not_believe_a_length_that_no_memory_could_hold() {
    let mut transaction = vec![1, 2, 0, 0, 0, 1];
    transaction.extend([0; 36]);
    transaction.extend([255; 9]);
    let truncated = Problem::Truncated {
        wanted: u64::MAX,
        left: 0,
    };
    assert_eq!(
        problem(&after_header(&transaction)),
        (80 + 6 + 36 + 9, truncated)
    );
}

#[test]
fn refuses_an_unknown_form_of_transaction() {
    let flag = Problem::UnknownFlag { flag: 2 };
    assert_eq!(problem(&after_header(&[1, 2, 0, 0, 0, 0, 2])), (87, flag));
}

#[test]
fn refuses_what_follows_the_last_transaction() {
    let trailing = Problem::Trailing { bytes: 3 };
    assert_eq!(problem(&after_header(&[0, 7, 7, 7])), (81, trailing));
}

#[test]
fn refuses_spent_outputs_of_another_block() {
    let spender = transaction(
        &[OutPoint {
            txid: Txid::new([1; 32]),
            vout: 0,
        }],
        &[],
    );
    let previous = bitcoin::BlockHash::all_zeros();
    let bytes = serialize(&block(previous, vec![coinbase(1), spender]));
    let others = [
        vec![vec![]],
        vec![vec![], vec![]],
        vec![vec![output((&[], 1))], vec![output((&[], 1))]],
        vec![vec![], vec![output((&[], 1)); 2]],
    ];
    for spent in others {
        let error = show(&bytes, Some(&encode_spent(&spent))).unwrap_err();
        assert_eq!(error.part, Part::SpentOutputs);
        assert!(
            matches!(error.problem, Problem::OtherCount { .. }),
            "{error}"
        );
    }
    let right = [vec![], vec![output((&[], 1))]];
    show(&bytes, Some(&encode_spent(&right))).unwrap();
}
