//! A device: it stores what it is given, in order, and computes the chain by itself.

use std::collections::BTreeMap;

use satpost_domain::MessagingKey;
use satpost_domain::ids::ChainHash;
use satpost_domain::mailbox::{MailboxEvent, chain_start, extend_chain};

/// What one device knows.
pub(super) struct Recipient {
    /// The chain after each stored message, and where it began.
    chains: BTreeMap<u64, ChainHash>,
}

impl Recipient {
    pub(super) fn new(key: MessagingKey) -> Self {
        let chains = BTreeMap::from([(0, chain_start(&key))]);
        Self { chains }
    }

    /// The last message it has stored.
    pub(super) fn stored(&self) -> u64 {
        *self.chains.keys().last().expect("it begins with one")
    }

    /// The chain at a message, if it was given that.
    pub(super) fn chain(&self, seq: u64) -> Option<ChainHash> {
        self.chains.get(&seq).copied()
    }

    /// One of the chains it knows.
    pub(super) fn any_chain(&self, number: u64) -> ChainHash {
        let known = self.chains.len() as u64;
        let place = usize::try_from(number % known).expect("few are known");
        *self.chains.values().nth(place).expect("it is one of them")
    }

    /// Takes the next messages of the line, tombstones included: those after what it has, or after what
    /// another device has acknowledged. There it begins with the chain that the server gives.
    pub(super) fn fetch(&mut self, history: &[MailboxEvent], acknowledged: u64, count: u64) {
        let start = self.stored().max(acknowledged);
        let wanted = start..=start + count;
        for event in history {
            if let MailboxEvent::MessageAccepted {
                seq,
                id,
                digest,
                chain,
                ..
            } = event
                && wanted.contains(seq)
            {
                if *seq > start {
                    let last = self.chains[&(seq - 1)];
                    let next = extend_chain(last, *seq, *id, *digest);
                    assert_eq!(next, *chain, "the chain recomputes");
                }
                let known = self.chains.insert(*seq, *chain);
                assert!(
                    known.is_none_or(|known| known == *chain),
                    "the past is another one"
                );
            }
        }
    }
}
