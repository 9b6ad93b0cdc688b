//! Honest proofs of blocks of every size, and the known ways to forge one.

use bitcoin::absolute::LockTime;
use bitcoin::block::Version;
use bitcoin::consensus::encode::{serialize, serialize_hex};
use bitcoin::merkle_tree::calculate_root;
use bitcoin::transaction::{OutPoint, Sequence, TxIn, TxOut};
use bitcoin::{Amount, CompactTarget, ScriptBuf, TxMerkleNode, Witness, transaction};

use super::*;

/// A transaction whose input script has `script_bytes` bytes; `number` makes it another one.
fn transaction(number: u32, script_bytes: usize) -> Transaction {
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::from_consensus(number),
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), number),
            script_sig: ScriptBuf::from(vec![0x51; script_bytes]),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[1_u8; 64]]),
        }],
        output: vec![TxOut {
            value: Amount::from_sat(1_000),
            script_pubkey: ScriptBuf::new(),
        }],
    }
}

fn transactions(count: u32) -> Vec<Transaction> {
    (0..count).map(|number| transaction(number, 20)).collect()
}

fn leaves(transactions: &[Transaction]) -> Vec<sha256d::Hash> {
    let txids = transactions.iter().map(Transaction::compute_txid);
    txids.map(Txid::to_raw_hash).collect()
}

/// A header over `root` that meets regtest's target.
fn header(root: sha256d::Hash) -> Header {
    let mut header = Header {
        version: Version::TWO,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::from_raw_hash(root),
        time: 0,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    while header.validate_pow(header.target()).is_err() {
        header.nonce += 1;
    }
    header
}

fn parent(left: sha256d::Hash, right: sha256d::Hash) -> sha256d::Hash {
    sha256d::Hash::hash(&[left.to_byte_array(), right.to_byte_array()].concat())
}

/// Every row of the tree, from the bottom, without the copies.
fn rows(leaves: Vec<sha256d::Hash>) -> Vec<Vec<sha256d::Hash>> {
    let mut rows = vec![leaves];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        let above = row.chunks(2);
        let above = above
            .map(|pair| parent(pair[0], pair[pair.len() - 1]))
            .collect();
        rows.push(above);
    }
    rows
}

fn proof_of(transactions: &[Transaction], pos: usize) -> TransactionProof {
    let rows = rows(leaves(transactions));
    let path = rows
        .iter()
        .enumerate()
        .take(rows.len() - 1)
        .map(|(level, row)| {
            let place = pos >> level;
            *row.get(place ^ 1).unwrap_or(&row[place])
        });
    let header = header(rows[rows.len() - 1][0]);
    TransactionProof {
        block_height: 1,
        block_hash: header.block_hash().to_string(),
        header: serialize_hex(&header),
        merkle: path.map(|hash| hash.to_string()).collect(),
        pos: u32::try_from(pos).unwrap(),
        tx: serialize_hex(&transactions[pos]),
    }
}

#[test]
fn takes_every_honest_proof_of_blocks_of_every_size() {
    for count in 1..=33 {
        let transactions = transactions(count);
        let root = calculate_root(leaves(&transactions).into_iter()).unwrap();
        for pos in 0..transactions.len() {
            let proof = proof_of(&transactions, pos);
            let txid = transactions[pos].compute_txid();
            let header = verify_merkle_proof(&txid, &proof).unwrap();
            assert_eq!(header.merkle_root.to_raw_hash(), root, "{pos} of {count}");
        }
    }
}

#[test]
fn refuses_a_proof_of_which_any_part_was_changed() {
    let transactions = transactions(11);
    let honest = proof_of(&transactions, 6);
    let txid = transactions[6].compute_txid();
    let verify = |change: &dyn Fn(&mut TransactionProof)| {
        let mut proof = honest.clone();
        change(&mut proof);
        verify_merkle_proof(&txid, &proof).unwrap_err()
    };
    for level in 0..honest.merkle.len() {
        let error = verify(&|proof| proof.merkle[level] = "11".repeat(32));
        assert_eq!(error, MerkleProofError::WrongRoot);
    }
    let error = verify(&|proof| proof.pos = 7);
    assert_eq!(error, MerkleProofError::WrongRoot);
    let error = verify(&|proof| proof.pos = 6 + 16);
    assert_eq!(error, MerkleProofError::WrongLength { hashes: 4, pos: 22 });
    let error = verify(&|proof| proof.merkle.resize(16, "11".repeat(32)));
    assert!(matches!(error, MerkleProofError::WrongLength { .. }));
    let error = verify(&|proof| proof.tx = serialize_hex(&transactions[5]));
    assert!(matches!(error, MerkleProofError::OtherTransaction { .. }));
    let error = verify(&|proof| proof.block_hash = "00".repeat(32));
    assert!(matches!(error, MerkleProofError::OtherBlock { .. }));
    for change in [
        |proof: &mut TransactionProof| proof.header.truncate(100),
        |proof: &mut TransactionProof| proof.tx.push_str("00"),
        |proof: &mut TransactionProof| proof.merkle[0].push('0'),
        |proof: &mut TransactionProof| proof.block_hash.clear(),
    ] {
        assert!(matches!(
            verify(&change),
            MerkleProofError::Malformed { .. }
        ));
    }
}

#[test]
fn refuses_a_header_without_work() {
    let transactions = transactions(1);
    let mut proof = proof_of(&transactions, 0);
    let mut header = header(leaves(&transactions)[0]);
    header.bits = CompactTarget::from_consensus(0x1d00_ffff);
    proof.header = serialize_hex(&header);
    proof.block_hash = header.block_hash().to_string();
    let error = verify_merkle_proof(&transactions[0].compute_txid(), &proof);
    assert!(matches!(error, Err(MerkleProofError::NoWork { .. })));
}

/// CVE-2012-2459: six transactions have the root of eight of which the last two are copies.
#[test]
fn refuses_the_place_of_a_copied_transaction() {
    let mut copied = transactions(6);
    let honest = calculate_root(leaves(&copied).into_iter()).unwrap();
    copied.extend_from_within(4..6);
    assert_eq!(calculate_root(leaves(&copied).into_iter()), Some(honest));
    for pos in [6, 7] {
        let proof = proof_of(&copied, pos);
        let error = verify_merkle_proof(&copied[pos].compute_txid(), &proof);
        assert_eq!(error, Err(MerkleProofError::Duplicated), "place {pos}");
    }

    // One transaction and its copy have the root of three with the last beside itself.
    let mut copied = transactions(3);
    copied.extend_from_within(2..3);
    let proof = proof_of(&copied, 3);
    let error = verify_merkle_proof(&copied[3].compute_txid(), &proof);
    assert_eq!(error, Err(MerkleProofError::Duplicated));
}

#[test]
fn refuses_a_way_that_goes_on_to_the_right_of_the_last_node() {
    // Made up from the bottom: the leaf stands beside itself, and yet something follows it.
    let transactions = transactions(1);
    let leaf = leaves(&transactions)[0];
    let beside = sha256d::Hash::hash(b"beside");
    let header = header(parent(parent(leaf, leaf), beside));
    let proof = TransactionProof {
        block_hash: header.block_hash().to_string(),
        header: serialize_hex(&header),
        merkle: vec![leaf.to_string(), beside.to_string()],
        ..proof_of(&transactions, 0)
    };
    let error = verify_merkle_proof(&transactions[0].compute_txid(), &proof);
    assert_eq!(error, Err(MerkleProofError::Duplicated));
}

/// A transaction of 64 bytes whose second half is the id of a transaction that is in no block.
#[test]
fn refuses_a_path_through_a_transaction_of_the_size_of_a_node() {
    // 60 bytes without scripts; 4 more make it as long as a node.
    let mut disguise = transaction(0, 4);
    disguise.input[0].witness = Witness::new();
    let bytes = serialize(&disguise);
    assert_eq!(bytes.len(), NODE_BYTES);
    let half = |range: std::ops::Range<usize>| {
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[range]);
        sha256d::Hash::from_byte_array(hash)
    };
    // The way up from either half passes through the 64 bytes.
    let header = header(disguise.compute_txid().to_raw_hash());
    assert_eq!(
        climb(half(32..64), &[half(0..32)], 1),
        Err(MerkleProofError::NodeIsTransaction)
    );
    assert_eq!(
        climb(half(0..32), &[half(32..64)], 0),
        Err(MerkleProofError::NodeIsTransaction)
    );
    // And the 64 bytes themselves are not proven to be a transaction either.
    let proof = TransactionProof {
        block_height: 1,
        block_hash: header.block_hash().to_string(),
        header: serialize_hex(&header),
        merkle: Vec::new(),
        pos: 0,
        tx: serialize_hex(&disguise),
    };
    let error = verify_merkle_proof(&disguise.compute_txid(), &proof);
    assert_eq!(error, Err(MerkleProofError::NodeSized));
}
