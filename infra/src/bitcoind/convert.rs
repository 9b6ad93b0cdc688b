//! Between the hashes of the `bitcoin` crate (in the order of their bytes) and ours (in display
//! order), and between the networks of both.

use bitcoin::hashes::Hash as _;
use satpost_domain::chain::OutPoint;
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::network::Network;

fn reversed(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes.reverse();
    bytes
}

/// The network of the `bitcoin` crate.
pub(crate) const fn network(network: Network) -> bitcoin::Network {
    match network {
        Network::Mainnet => bitcoin::Network::Bitcoin,
        Network::Testnet => bitcoin::Network::Testnet,
        Network::Testnet4 => bitcoin::Network::Testnet4,
        Network::Signet => bitcoin::Network::Signet,
        Network::Regtest => bitcoin::Network::Regtest,
    }
}

/// The txid of the `bitcoin` crate.
pub(crate) fn node_txid(txid: Txid) -> bitcoin::Txid {
    bitcoin::Txid::from_byte_array(reversed(*txid.as_bytes()))
}

/// The block hash of the `bitcoin` crate.
pub(crate) fn node_block_hash(hash: BlockHash) -> bitcoin::BlockHash {
    bitcoin::BlockHash::from_byte_array(reversed(*hash.as_bytes()))
}

/// Our txid.
pub(crate) fn our_txid(found: bitcoin::Txid) -> Txid {
    txid(found)
}

pub(crate) fn txid(txid: bitcoin::Txid) -> Txid {
    Txid::new(reversed(txid.to_byte_array()))
}

pub(super) fn block_hash(hash: bitcoin::BlockHash) -> BlockHash {
    BlockHash::new(reversed(hash.to_byte_array()))
}

pub(super) fn outpoint(outpoint: &bitcoin::OutPoint) -> OutPoint {
    OutPoint {
        txid: txid(outpoint.txid),
        vout: outpoint.vout,
    }
}

/// The outputs a transaction spends; none for a coinbase.
pub(super) fn inputs(transaction: &bitcoin::Transaction) -> Vec<OutPoint> {
    if transaction.is_coinbase() {
        return Vec::new();
    }
    transaction
        .input
        .iter()
        .map(|input| outpoint(&input.previous_output))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_a_txid_like_the_bitcoin_crate() {
        let text = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
        assert_eq!(txid(text.parse().unwrap()).to_string(), text);
    }
}
