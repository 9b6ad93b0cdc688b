//! Checks a server's proof that a transaction is in a block.
//!
//! What remains to be trusted is the header: whether it belongs to the chain with the most work is
//! for a client with headers of its own to say. That the header was worked for at all, at the
//! difficulty it names, is checked here.

use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, deserialize_hex};
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256d};
use bitcoin::{BlockHash, Transaction, Txid};
use satpost_api_types::transactions::TransactionProof;
use satpost_domain::limits::MERKLE_PATH_MAX;

/// The size of two hashes, of which every inner node of the tree is made.
const NODE_BYTES: usize = 64;

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerkleProofError {
    /// A part is not what it should be, before anything is computed.
    #[error("the {part} of the proof does not parse")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// The header is that of another block.
    #[error("the header has the hash {found}, not {claimed}")]
    OtherBlock {
        /// What the proof says.
        claimed: BlockHash,
        /// What the header says.
        found: BlockHash,
    },
    /// The header was not worked for.
    #[error("the header {block} does not meet its own target")]
    NoWork {
        /// The hash.
        block: BlockHash,
    },
    /// The transaction is another one.
    #[error("the transaction has the id {found}, not {asked}")]
    OtherTransaction {
        /// Which was asked for.
        asked: Txid,
        /// Which came.
        found: Txid,
    },
    /// What is called a transaction has the size of an inner node, so that it could be one.
    #[error("a transaction of {NODE_BYTES} bytes cannot be told from an inner node")]
    NodeSized,
    /// The path is longer than in any block, or too short for the place.
    #[error("a path of {hashes} hashes does not lead to place {pos}")]
    WrongLength {
        /// How many hashes.
        hashes: usize,
        /// The place.
        pos: u32,
    },
    /// The way comes from the right side of two equal hashes (CVE-2012-2459), or goes on to the right of
    /// the last node of a row.
    #[error("the path passes through a hash that stands in the tree only as its own copy")]
    Duplicated,
    /// An inner node is at the same time a transaction: the tree is deeper on this side than it is.
    #[error("an inner node of the path is a transaction")]
    NodeIsTransaction,
    /// The path leads elsewhere.
    #[error("the path does not lead to the root in the header")]
    WrongRoot,
}

/// Checks that the transaction `txid` is in the block of `proof`, and returns the block's header.
/// The height is the server's word; the header does not name it.
///
/// An honest proof is taken for a forged one when an inner node happens to be a valid transaction,
/// which one in about a hundred million is.
///
/// # Errors
/// [`MerkleProofError`]: the transaction may still be in the block, but this is no proof of it.
pub fn verify_merkle_proof(
    txid: &Txid,
    proof: &TransactionProof,
) -> Result<Header, MerkleProofError> {
    let header = checked_header(proof)?;
    check_transaction(txid, &proof.tx)?;
    let path = path(proof)?;
    let root = climb(txid.to_raw_hash(), &path, proof.pos)?;
    if root == header.merkle_root.to_raw_hash() {
        Ok(header)
    } else {
        Err(MerkleProofError::WrongRoot)
    }
}

fn checked_header(proof: &TransactionProof) -> Result<Header, MerkleProofError> {
    let malformed = |part| MerkleProofError::Malformed { part };
    let header: Header = deserialize_hex(&proof.header).map_err(|_| malformed("header"))?;
    let claimed: BlockHash = proof
        .block_hash
        .parse()
        .map_err(|_| malformed("block hash"))?;
    let found = header.block_hash();
    if claimed != found {
        return Err(MerkleProofError::OtherBlock { claimed, found });
    }
    if header.validate_pow(header.target()).is_err() {
        return Err(MerkleProofError::NoWork { block: found });
    }
    Ok(header)
}

fn check_transaction(txid: &Txid, hex: &str) -> Result<(), MerkleProofError> {
    let transaction: Transaction =
        deserialize_hex(hex).map_err(|_| MerkleProofError::Malformed {
            part: "transaction",
        })?;
    let found = transaction.compute_txid();
    if found != *txid {
        return Err(MerkleProofError::OtherTransaction {
            asked: *txid,
            found,
        });
    }
    if transaction.base_size() == NODE_BYTES {
        return Err(MerkleProofError::NodeSized);
    }
    Ok(())
}

fn path(proof: &TransactionProof) -> Result<Vec<sha256d::Hash>, MerkleProofError> {
    let (hashes, pos) = (proof.merkle.len(), proof.pos);
    // A place of n binary digits is reached by at least n hashes.
    let fits = hashes <= MERKLE_PATH_MAX && u64::from(pos) >> hashes == 0;
    if !fits {
        return Err(MerkleProofError::WrongLength { hashes, pos });
    }
    proof
        .merkle
        .iter()
        .map(|hash| hash.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| MerkleProofError::Malformed { part: "path" })
}

/// The root to which `path` leads from the leaf `hash` at `pos`.
fn climb(
    mut hash: sha256d::Hash,
    path: &[sha256d::Hash],
    mut pos: u32,
) -> Result<sha256d::Hash, MerkleProofError> {
    // The last node of a row stands beside itself when the row is odd. The node above it is the
    // last of its own row, so to the right of the way nothing can stand from there on.
    let mut is_last = false;
    for beside in path {
        let is_left = pos & 1 == 0;
        let is_copied = *beside == hash;
        if (is_copied && !is_left) || (is_last && is_left && !is_copied) {
            return Err(MerkleProofError::Duplicated);
        }
        is_last |= is_copied;
        let node = match is_left {
            true => [hash.to_byte_array(), beside.to_byte_array()].concat(),
            false => [beside.to_byte_array(), hash.to_byte_array()].concat(),
        };
        if is_transaction(&node) {
            return Err(MerkleProofError::NodeIsTransaction);
        }
        let mut engine = sha256d::Hash::engine();
        engine.input(&node);
        hash = sha256d::Hash::from_engine(engine);
        pos >>= 1;
    }
    Ok(hash)
}

/// True when these bytes are a transaction that a block could hold.
fn is_transaction(node: &[u8]) -> bool {
    deserialize::<Transaction>(node).is_ok_and(|transaction| {
        let has_both = !transaction.input.is_empty() && !transaction.output.is_empty();
        has_both && transaction.base_size() == NODE_BYTES
    })
}

#[cfg(test)]
mod tests;
