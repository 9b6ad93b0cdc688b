//! Blocks and scripts from a seed, the same in every run.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{VarInt, serialize};
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, transaction,
};
use ring::digest::{SHA256, digest};
use satpost_domain::ids;

use crate::bitcoind::rpc::RawBlock;

/// About as large as ordinary full blocks are.
const BLOCK_BYTES: usize = 1_400_000;
/// One output or spent output of so many is of a watched script.
const WATCHED_ONE_IN: u64 = 1_000;
/// A signature with its hash type, and a public key.
const WITNESS_BYTES: [usize; 2] = [72, 33];

/// The script with this number: of ten, six P2WPKH, three P2TR and one P2PKH.
pub(super) fn script(number: u64) -> ScriptBuf {
    let hash = digest(&SHA256, &number.to_le_bytes());
    let hash = hash.as_ref();
    let bytes = match number % 10 {
        0..6 => [&[0x00, 0x14], &hash[..20]].concat(),
        6..9 => [&[0x51, 0x20], hash].concat(),
        _ => [&[0x76, 0xa9, 0x14], &hash[..20], &[0x88, 0xac]].concat(),
    };
    ScriptBuf::from_bytes(bytes)
}

/// Numbers that look random (xorshift64, Marsaglia 2003).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn hash(&mut self) -> [u8; 32] {
        let number = self.next().to_le_bytes();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &number).as_ref());
        hash
    }
}

/// A full block in which some outputs belong to one of `watched` scripts, numbered from 0.
pub(super) fn block(numbers: &mut Numbers, watched: u64) -> RawBlock {
    let (mut transactions, mut spent) = (vec![coinbase()], vec![Vec::new()]);
    let mut bytes = 0;
    while bytes < BLOCK_BYTES {
        let transaction = transaction(numbers, watched);
        bytes += transaction.total_size();
        spent.push(
            (0..transaction.input.len())
                .map(|_| output(numbers, watched))
                .collect::<Vec<TxOut>>(),
        );
        transactions.push(transaction);
    }
    let block = Block {
        header: Header {
            version: Version::TWO,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 0,
            bits: CompactTarget::from_consensus(0),
            nonce: 0,
        },
        txdata: transactions,
    };
    let mut spent_bytes = serialize(&VarInt::from(spent.len()));
    for outputs in &spent {
        spent_bytes.extend(serialize(outputs));
    }
    RawBlock {
        hash: ids::BlockHash::new([0; 32]),
        bytes: serialize(&block).into(),
        spent: Some(spent_bytes.into()),
    }
}

fn coinbase() -> Transaction {
    Transaction {
        version: transaction::Version::ONE,
        lock_time: LockTime::ZERO,
        input: vec![TxIn::default()],
        output: Vec::new(),
    }
}

/// One or two inputs and two outputs, as most have.
fn transaction(numbers: &mut Numbers, watched: u64) -> Transaction {
    let inputs = 1 + numbers.next() % 2;
    let input = |numbers: &mut Numbers| TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array(numbers.hash()), 1),
        witness: Witness::from_slice(&WITNESS_BYTES.map(|count| numbers.bytes(count))),
        ..TxIn::default()
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: (0..inputs).map(|_| input(numbers)).collect(),
        output: (0..2).map(|_| output(numbers, watched)).collect(),
    }
}

fn output(numbers: &mut Numbers, watched: u64) -> TxOut {
    let number = if numbers.next().is_multiple_of(WATCHED_ONE_IN) {
        numbers.next() % watched
    } else {
        watched.saturating_add(numbers.next() >> 1)
    };
    TxOut {
        value: Amount::from_sat(1 + numbers.next() % 1_000_000),
        script_pubkey: script(number),
    }
}
