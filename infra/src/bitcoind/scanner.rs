//! Walks over the bytes of a block without building its transactions.
//!
//! Nothing is copied and nothing is allocated: a [`Visitor`] is shown slices of the node's answer.
//! Every length is checked against what is left, so that malformed bytes are an error with a place
//! and never a panic. Consensus rules are not checked: the node has done that.
//!
//! Beside the block goes what the node answers at `/rest/spenttxouts/<hash>.bin`: for each
//! transaction of the block the outputs that its inputs spend, in the same order. It is a
//! CompactSize count of transactions, then for each a CompactSize count of outputs (0 for the
//! coinbase), then each output as in a transaction: value (8 bytes, little-endian) and script.

use std::fmt;

use satpost_domain::chain::OutPoint;
use satpost_domain::ids::{BlockHash, Txid};
use sha2::{Digest as _, Sha256};

use cursor::Cursor;

mod cursor;
#[cfg(test)]
mod tests;

/// An output as an input names it: the txid in the order of its bytes, then the index,
/// little-endian.
pub type RawOutPoint = [u8; 36];

/// The marker of a transaction with witnesses, where others have their number of inputs (BIP 144).
const SEGWIT_MARKER: u64 = 0;
/// The only flag that follows the marker (BIP 144).
const SEGWIT_FLAG: u8 = 1;

/// Which answer of the node is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The block.
    Block,
    /// The outputs that it spends.
    SpentOutputs,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "the block",
            Self::SpentOutputs => "the list of spent outputs",
        })
    }
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// They end before what they announce.
    #[error("{wanted} bytes are announced and {left} are left")]
    Truncated {
        /// How many were to follow.
        wanted: u64,
        /// How many do.
        left: usize,
    },
    /// A number is written longer than it has to be.
    #[error("the number {number} is not in its shortest form")]
    NotShortest {
        /// The number.
        number: u64,
    },
    /// A transaction has a form that is not known.
    #[error("a transaction has the unknown flag {flag}")]
    UnknownFlag {
        /// What stands where BIP 144 has 1.
        flag: u8,
    },
    /// Something follows the last transaction.
    #[error("{bytes} bytes follow the end")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The two answers are not about the same block.
    #[error("{expected} entries are expected and {found} are there")]
    OtherCount {
        /// How many the block has.
        expected: u64,
        /// How many the list of spent outputs has.
        found: u64,
    },
}

/// The node's answer is not the block that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{part} is malformed at byte {offset}: {problem}")]
pub struct MalformedBlock {
    /// Which answer.
    pub part: Part,
    /// Where in it.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// Is shown a block from its first transaction to its last: of each its inputs, its outputs, what
/// it spends when that is known, and then the transaction.
pub trait Visitor {
    /// An input; the coinbase has one that names no output.
    fn input(&mut self, _outpoint: &RawOutPoint) {}

    /// An output.
    fn output(&mut self, _vout: u32, _value_sat: u64, _script: &[u8]) {}

    /// The output that an input spends.
    fn spent(&mut self, _value_sat: u64, _script: &[u8]) {}

    /// All of the above since the last one belong to this transaction.
    fn transaction(&mut self, _transaction: &RawTransaction<'_>) {}
}

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The hash of the block.
    pub hash: BlockHash,
    /// The hash of the block before it.
    pub previous: BlockHash,
    /// Its time, in Unix seconds.
    pub time_secs: u32,
}

impl Header {
    /// The header at the begin of a block.
    ///
    /// # Errors
    /// [`MalformedBlock`] when there are fewer than 80 bytes.
    pub fn of(block: &[u8]) -> Result<Self, MalformedBlock> {
        let mut cursor = Cursor::new(Part::Block, block);
        Self::read(&mut cursor)
    }

    /// Version, previous block, merkle root, time, bits, nonce.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, MalformedBlock> {
        let bytes: &[u8; 80] = cursor.array()?;
        let mut previous = [0; 32];
        previous.copy_from_slice(&bytes[4..36]);
        previous.reverse();
        let mut time = [0; 4];
        time.copy_from_slice(&bytes[68..72]);
        Ok(Self {
            hash: BlockHash::new(double_sha256(&[bytes])),
            previous: BlockHash::new(previous),
            time_secs: u32::from_le_bytes(time),
        })
    }
}

/// A transaction by its bytes.
#[derive(Debug, Clone, Copy)]
pub struct RawTransaction<'a> {
    index: u32,
    version: &'a [u8; 4],
    inputs: u64,
    /// From the number of inputs to the last output.
    body: &'a [u8],
    lock_time: &'a [u8; 4],
}

impl RawTransaction<'_> {
    /// Its place in the block; the coinbase has 0.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Computes its id: the double SHA-256 of all but the witnesses, in display order.
    #[must_use]
    pub fn txid(&self) -> Txid {
        Txid::new(double_sha256(&[self.version, self.body, self.lock_time]))
    }

    /// The outputs that it spends, in the order of its inputs; none for the coinbase.
    #[must_use]
    pub fn inputs(&self) -> Vec<OutPoint> {
        if self.index == 0 {
            return Vec::new();
        }
        let mut cursor = Cursor::new(Part::Block, self.body);
        let mut outpoints = Vec::new();
        // The body was walked over before, so every input of it can be read.
        if cursor.compact_size().is_ok() {
            for _ in 0..self.inputs {
                outpoints.extend(read_input(&mut cursor).map(outpoint));
            }
        }
        outpoints
    }
}

/// Walks over `block`, and over `spent` beside it when the node has told what the block spends.
///
/// # Errors
/// [`MalformedBlock`]; what was shown until then means nothing.
pub fn walk(
    block: &[u8],
    spent: Option<&[u8]>,
    visitor: &mut impl Visitor,
) -> Result<Header, MalformedBlock> {
    let mut cursor = Cursor::new(Part::Block, block);
    let header = Header::read(&mut cursor)?;
    let count = cursor.compact_size()?;
    let mut spent = spent.map(|bytes| Cursor::new(Part::SpentOutputs, bytes));
    if let Some(spent) = &mut spent {
        spent.count(count)?;
    }
    for index in 0..count {
        // A block of fewer than 2^32 bytes has fewer transactions.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let transaction = walk_transaction(&mut cursor, index, visitor)?;
        if let Some(spent) = &mut spent {
            let inputs = if index == 0 { 0 } else { transaction.inputs };
            spent.count(inputs)?;
            for _ in 0..inputs {
                let value_sat = spent.u64()?;
                visitor.spent(value_sat, spent.sized()?);
            }
        }
        visitor.transaction(&transaction);
    }
    cursor.end()?;
    if let Some(spent) = &spent {
        spent.end()?;
    }
    Ok(header)
}

fn walk_transaction<'a>(
    cursor: &mut Cursor<'a>,
    index: u32,
    visitor: &mut impl Visitor,
) -> Result<RawTransaction<'a>, MalformedBlock> {
    let version = cursor.array()?;
    let mut begin = cursor.rest();
    let mut inputs = cursor.compact_size()?;
    let has_witnesses = inputs == SEGWIT_MARKER;
    if has_witnesses {
        cursor.flag(SEGWIT_FLAG)?;
        begin = cursor.rest();
        inputs = cursor.compact_size()?;
    }
    for _ in 0..inputs {
        visitor.input(read_input(cursor)?);
    }
    let outputs = cursor.compact_size()?;
    for vout in 0..outputs {
        let value_sat = cursor.u64()?;
        let script = cursor.sized()?;
        visitor.output(u32::try_from(vout).unwrap_or(u32::MAX), value_sat, script);
    }
    let body = &begin[..begin.len() - cursor.rest().len()];
    if has_witnesses {
        for _ in 0..inputs {
            for _ in 0..cursor.compact_size()? {
                cursor.sized()?;
            }
        }
    }
    Ok(RawTransaction {
        index,
        version,
        inputs,
        body,
        lock_time: cursor.array()?,
    })
}

/// The output an input spends; its script and sequence are passed over.
fn read_input<'a>(cursor: &mut Cursor<'a>) -> Result<&'a RawOutPoint, MalformedBlock> {
    let outpoint = cursor.array()?;
    cursor.sized()?;
    cursor.skip(4)?;
    Ok(outpoint)
}

/// The output in the domain's words: hashes stand in display order there.
#[must_use]
pub fn outpoint(raw: &RawOutPoint) -> OutPoint {
    let (mut txid, mut vout) = ([0; 32], [0; 4]);
    txid.copy_from_slice(&raw[..32]);
    txid.reverse();
    vout.copy_from_slice(&raw[32..]);
    OutPoint {
        txid: Txid::new(txid),
        vout: u32::from_le_bytes(vout),
    }
}

/// SHA-256 of SHA-256, in display order.
fn double_sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut once = Sha256::new();
    for part in parts {
        once.update(part);
    }
    let mut twice: [u8; 32] = Sha256::digest(once.finalize()).into();
    twice.reverse();
    twice
}
