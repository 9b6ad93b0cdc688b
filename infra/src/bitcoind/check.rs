//! Is this the right node, and does it announce what is needed.

use bitcoin::constants::genesis_block;
use satpost_domain::ids::BlockHash;
use satpost_domain::network::Network;

use super::convert;
use super::rpc::{NodeInfo, NodeRpc, Publication, RpcError};

/// Why a node is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It gave no answer.
    #[error(transparent)]
    NoAnswer(#[from] RpcError),
    /// It is on another network.
    #[error("the server is configured for {configured}, the node is on {found}")]
    WrongNetwork {
        /// The network of the server.
        configured: Network,
        /// The network of the node, in its words.
        found: String,
    },
    /// It still fetches the chain for the first time.
    #[error("the node has {blocks} of {headers} blocks and is still fetching")]
    Behind {
        /// How many blocks it has.
        blocks: u32,
        /// How many there are.
        headers: u32,
    },
}

/// Whether everything that the node announces of its mempool and its blocks reaches a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedQuality {
    /// It does, as long as the connection stands.
    Complete,
    /// The node drops announcements when many wait. What is lost is found by asking it, so it is
    /// asked all the time.
    Lossy,
    /// The node announces nothing.
    Absent,
}

/// Tells it by what the node says that it publishes. The limit of waiting messages is one for each
/// address: topics that share one also share the limit, which is then that of any of them.
#[must_use]
pub fn feed_quality(publications: &[Publication]) -> FeedQuality {
    let Some(sequence) = publication(publications, "pubsequence") else {
        return FeedQuality::Absent;
    };
    let mut beside = publications
        .iter()
        .filter(|other| other.address == sequence.address);
    if beside.any(|topic| topic.high_water_mark != 0) {
        FeedQuality::Lossy
    } else {
        FeedQuality::Complete
    }
}

/// The hash of block 0 of a network.
#[must_use]
pub fn genesis(network: Network) -> BlockHash {
    convert::block_hash(genesis_block(convert::network(network)).block_hash())
}

/// Looks whether the node can be followed, and whether its announcements are enough. What could be
/// better about it says the doctor.
///
/// # Errors
/// [`Unfit`].
pub async fn check(rpc: &dyn NodeRpc, network: Network) -> Result<(NodeInfo, FeedQuality), Unfit> {
    let info = rpc.info().await?;
    if rpc.block_hash(0).await? != Some(genesis(network)) {
        return Err(Unfit::WrongNetwork {
            configured: network,
            found: info.network,
        });
    }
    // Six headers ahead are an ordinary moment, more are a node that has been away.
    if info.initial_download && info.headers > info.blocks + 6 {
        return Err(Unfit::Behind {
            blocks: info.blocks,
            headers: info.headers,
        });
    }
    let quality = feed_quality(&rpc.publications().await?);
    Ok((info, quality))
}

/// What the node says about one topic.
pub(super) fn publication<'a>(
    publications: &'a [Publication],
    topic: &str,
) -> Option<&'a Publication> {
    publications.iter().find(|found| found.topic == topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(topic: &str, address: &str, high_water_mark: u64) -> Publication {
        Publication {
            topic: topic.to_owned(),
            address: address.to_owned(),
            high_water_mark,
        }
    }

    #[test]
    fn a_feed_is_complete_when_nothing_limits_its_address() {
        let sequence = topic("pubsequence", "tcp://127.0.0.1:1", 0);
        let apart = topic("pubrawtx", "tcp://127.0.0.1:2", 1000);
        let beside = topic("pubrawtx", "tcp://127.0.0.1:1", 1000);
        let limited = topic("pubsequence", "tcp://127.0.0.1:1", 1000);
        for (topics, quality) in [
            (vec![sequence.clone()], FeedQuality::Complete),
            (vec![apart.clone(), sequence.clone()], FeedQuality::Complete),
            (vec![beside, sequence], FeedQuality::Lossy),
            (vec![limited], FeedQuality::Lossy),
            (vec![apart], FeedQuality::Absent),
        ] {
            assert_eq!(feed_quality(&topics), quality, "{topics:?}");
        }
    }

    #[test]
    fn knows_the_genesis_of_every_network() {
        let all: std::collections::BTreeSet<_> = Network::ALL.into_iter().map(genesis).collect();
        assert_eq!(all.len(), Network::ALL.len());
        assert_eq!(
            genesis(Network::Mainnet).to_string(),
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        );
    }
}
