//! Is this the right node, and does it announce what is needed.

use bitcoin::constants::genesis_block;
use satpost_domain::ids::BlockHash;
use satpost_domain::network::Network;

use super::convert;
use super::rpc::{NodeInfo, NodeRpc, Publication, RpcError};

/// The oldest version that is known to announce everything that is relied on: Bitcoin Core 27.0.
const VERSION_MIN: u64 = 270_000;

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
    /// It announces no changes of its mempool. It can be asked once a second instead.
    #[error(
        "the node does not publish the `sequence` topic; start it with \
         -zmqpubsequence=<address> -zmqpubsequencehwm=0"
    )]
    NoSequence,
    /// It still fetches the chain for the first time.
    #[error("the node has {blocks} of {headers} blocks and is still fetching")]
    Behind {
        /// How many blocks it has.
        blocks: u32,
        /// How many there are.
        headers: u32,
    },
}

/// The hash of block 0 of a network.
#[must_use]
pub fn genesis(network: Network) -> BlockHash {
    convert::block_hash(genesis_block(convert::network(network)).block_hash())
}

/// Looks whether the node can be followed, and says in the log what could be better.
///
/// # Errors
/// [`Unfit`].
pub async fn check(rpc: &dyn NodeRpc, network: Network) -> Result<NodeInfo, Unfit> {
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
    let publications = rpc.publications().await?;
    let Some(sequence) = publication(&publications, "pubsequence") else {
        return Err(Unfit::NoSequence);
    };
    for advice in advice(&info, sequence, &publications) {
        tracing::warn!(node.version = info.version, "{advice}");
    }
    Ok(info)
}

fn publication<'a>(publications: &'a [Publication], topic: &str) -> Option<&'a Publication> {
    publications.iter().find(|found| found.topic == topic)
}

/// What the operator should change; none of it makes the watcher miss anything for good.
fn advice(info: &NodeInfo, sequence: &Publication, all: &[Publication]) -> Vec<String> {
    let mut advice = Vec::new();
    if info.version < VERSION_MIN {
        advice.push(format!(
            "the node's version {} is older than {VERSION_MIN}, the oldest that is tested",
            info.version
        ));
    }
    let rawtx = publication(all, "pubrawtx");
    for topic in std::iter::once(sequence).chain(rawtx) {
        if topic.high_water_mark != 0 {
            advice.push(format!(
                "the node drops {topic} notifications when {limit} wait, fewer than one full block \
                 causes; set -zmq{topic}hwm=0",
                topic = topic.topic,
                limit = topic.high_water_mark
            ));
        }
    }
    let shared = all
        .iter()
        .any(|other| other.topic != sequence.topic && other.address == sequence.address);
    if shared {
        advice.push(format!(
            "the node publishes other topics at {} too, which delay `sequence`; give it an address \
             of its own",
            sequence.address
        ));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: u64) -> NodeInfo {
        NodeInfo {
            network: "regtest".to_owned(),
            version,
            subversion: "/Satoshi:29.4.0/".to_owned(),
            blocks: 1,
            headers: 1,
            initial_download: false,
            uptime_secs: 1,
        }
    }

    fn topic(topic: &str, address: &str, high_water_mark: u64) -> Publication {
        Publication {
            topic: topic.to_owned(),
            address: address.to_owned(),
            high_water_mark,
        }
    }

    #[test]
    fn has_no_advice_for_a_good_node() {
        let all = [
            topic("pubsequence", "tcp://127.0.0.1:1", 0),
            topic("pubrawtx", "tcp://127.0.0.1:2", 0),
        ];
        assert_eq!(advice(&info(290_400), &all[0], &all), Vec::<String>::new());
    }

    #[test]
    fn names_what_loses_or_delays_notifications() {
        let all = [
            topic("pubsequence", "tcp://127.0.0.1:1", 1000),
            topic("pubrawtx", "tcp://127.0.0.1:1", 1000),
        ];
        let advice = advice(&info(220_000), &all[0], &all);
        assert_eq!(advice.len(), 4, "{advice:?}");
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
