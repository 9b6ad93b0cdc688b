//! What happens on the chain of the small world.

use satpost_domain::chain::{
    BlockRef, ChainCommand, RemovalCause, ReplacedIn, ReplacedVia, Sighting, Touch,
};
use satpost_domain::ids::{BlockHash, Txid};
use satpost_domain::limits::FINAL_DEPTH_DEFAULT;

use super::{World, script};

fn touch(number: u8) -> Touch {
    Touch {
        script_hash: script(number).hash(),
        received_sat: 1_000,
        spent_sat: 0,
        outputs: vec![(0, 1_000)],
    }
}

pub(super) fn sighting(transaction: u8, number: u8) -> Sighting {
    let mut touches = vec![touch(number)];
    if number == 0 {
        // One that pays to two scripts.
        touches.push(touch(1));
        touches.sort_by_key(|touch| touch.script_hash);
    }
    Sighting {
        txid: Txid::new([transaction + 1; 32]),
        index: 1,
        touches,
        inputs: Vec::new(),
    }
}

impl World {
    pub(super) fn remove(&mut self, transaction: u8, replaced: bool) {
        let txid = Txid::new([transaction + 1; 32]);
        let cause = if replaced {
            RemovalCause::Replaced {
                by: Txid::new([0xee; 32]),
                via: ReplacedVia::Direct,
                replaced_in: ReplacedIn::Mempool,
            }
        } else {
            RemovalCause::Evicted
        };
        self.ask_chain(&ChainCommand::RemoveTransactions {
            removals: vec![(txid, cause)],
        });
    }

    pub(super) fn mine(&mut self, transaction: u8, script: u8) {
        let at = self.now();
        let hash = |bytes: [u8; 16]| BlockHash::new([bytes, bytes].concat().try_into().unwrap());
        if self.blocks.is_empty() {
            let genesis = hash(self.draw());
            let tip = BlockRef {
                height: 0,
                hash: genesis,
            };
            assert!(self.ask_chain(&ChainCommand::Start { genesis, tip, at }));
            self.blocks.push(tip);
        }
        let tip = self.blocks[self.blocks.len() - 1];
        let block = BlockRef {
            height: tip.height + 1,
            hash: hash(self.draw()),
        };
        let connected = self.ask_chain(&ChainCommand::ConnectBlock {
            block,
            previous: tip.hash,
            time_secs: 0,
            sightings: vec![sighting(transaction, script)],
            conflicts: Vec::new(),
            depths: Vec::new(),
            final_depth: FINAL_DEPTH_DEFAULT,
        });
        if connected {
            self.blocks.push(block);
            assert_eq!(self.live.transaction_status().tip(), Some(block));
        }
    }

    pub(super) fn unmine(&mut self) {
        if self.blocks.len() < 2 {
            return;
        }
        let hash = self.blocks[self.blocks.len() - 1].hash;
        if self.ask_chain(&ChainCommand::DisconnectBlock { hash }) {
            self.blocks.pop();
            let tip = self.blocks.last().copied();
            assert_eq!(self.live.transaction_status().tip(), tip);
        }
    }
}
