//! The body of a `sequence` message: a hash in display order, a letter, and for changes of the
//! mempool their number (doc/zmq.md of Bitcoin Core).

use satpost_domain::ids::{BlockHash, Txid};

use super::Notice;
use super::bodies::Bodies;

/// Reads a message; nothing when it is not one. The body of an added transaction is taken out of
/// `bodies`.
pub(super) fn parse(message: &[u8], bodies: &mut Bodies) -> Option<Notice> {
    let (hash, rest) = message.split_first_chunk::<32>()?;
    let (letter, number) = rest.split_first()?;
    let number = || Some(u64::from_le_bytes(number.try_into().ok()?));
    match letter {
        b'A' => {
            let txid = Txid::new(*hash);
            Some(Notice::Added {
                txid,
                sequence: number()?,
                body: bodies.take(&txid),
            })
        }
        b'R' => Some(Notice::Removed {
            txid: Txid::new(*hash),
            sequence: number()?,
        }),
        b'C' => Some(Notice::Connected(BlockHash::new(*hash))),
        b'D' => Some(Notice::Disconnected(BlockHash::new(*hash))),
        _ => None,
    }
}
