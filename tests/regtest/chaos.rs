//! Everything at once, at random: reorganisations, replacements, conflicts in blocks, restarts of the
//! node, a node that does not answer, notifications that are lost, doubled or held back, and servers
//! that are killed at any append. Afterwards the log says what the node says, and nothing twice.
//!
//! `SATPOST_CHAIN_SEED` replays a run, `SATPOST_CHAIN_ROUNDS` and `SATPOST_CHAIN_KILLS` make it longer.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::{Address, Amount};
use bitcoincore_rpc::RpcApi as _;
use satpost_commands::ports::Clock as _;
use satpost_infra::bitcoind::{CoreRpc, NodeConfig};
use satpost_infra::system::SystemClock;
use satpost_tests::mortal_log::MortalLog;
use satpost_tests::node::RegtestNode;
use satpost_tests::random::Random;

use crate::relay::Relay;
use crate::server::{Server, config, empty_log};
use crate::spend::spend;

mod broken;

use broken::SilentNode;

/// Rounds in CI; a run by hand makes more.
const ROUNDS: u64 = 30;
const KILLS: u64 = 50;
/// Shallow, so that final transactions are taken back.
const FINAL_DEPTH: u32 = 6;

fn setting(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test")]
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("it is a number"))
}

/// What happens comes from this; it says how to replay it.
#[expect(clippy::print_stderr, reason = "a failure is replayed by its seed")]
pub(crate) fn thrown_dice() -> Random {
    let seed = setting("SATPOST_CHAIN_SEED", SystemClock.now().as_millis());
    eprintln!("replay with SATPOST_CHAIN_SEED={seed}");
    Random::new(seed)
}

/// A node with enough coins for a long run, and the addresses that are watched.
struct World {
    node: RegtestNode,
    watched: Vec<Address>,
    dice: Random,
}

impl World {
    fn new() -> Self {
        let mut node = RegtestNode::start();
        node.mine(60);
        // A power cut loses what was not written down by a stop in good order.
        node.restart();
        let watched = (0..3).map(|_| node.new_address()).collect();
        Self {
            node,
            watched,
            dice: thrown_dice(),
        }
    }

    async fn watch(&self, server: &Server) {
        for address in &self.watched {
            server.watch(address).await;
        }
    }

    fn address(&mut self) -> Address {
        let at = self.dice.number_below(self.watched.len() as u64) as usize;
        self.watched[at].clone()
    }

    /// One thing happens at the node.
    fn happen(&mut self) {
        match self.dice.number_below(10) {
            0..=2 => self.pay(),
            3 => self.replace(),
            4 => self.replace_in_block(),
            5 => {
                let address = self.address();
                self.node.mine_to(1, &address);
            }
            6 => {
                self.node.mine(1);
            }
            7 => {
                self.node.generate_block(&[]);
            }
            8 => self.reorganise(1, 4),
            _ => self.chain_of_payments(),
        }
    }

    fn pay(&mut self) {
        let address = self.address();
        self.node.send(&address, Amount::from_sat(100_000));
    }

    fn replace(&mut self) {
        // Only a payment that nothing was built on can be replaced by the wallet.
        let address = self.node.new_address();
        let paid = self.node.send(&address, Amount::from_sat(50_000));
        drop(
            self.node
                .rpc()
                .call::<serde_json::Value>("bumpfee", &[serde_json::json!(paid.to_string())]),
        );
        let waiting = self.node.mempool();
        if let Some(txid) = waiting.first() {
            drop(
                self.node
                    .rpc()
                    .call::<serde_json::Value>("bumpfee", &[serde_json::json!(txid.to_string())]),
            );
        }
    }

    /// A payment waits, and a block takes its coin elsewhere.
    fn replace_in_block(&mut self) {
        let unspent = self
            .node
            .rpc()
            .list_unspent(Some(1), None, None, None, None);
        let Some(coin) = unspent
            .unwrap()
            .into_iter()
            .find(|coin| coin.amount > Amount::from_sat(1_000_000))
        else {
            return;
        };
        let coin = [bitcoin::OutPoint::new(coin.txid, coin.vout)];
        let address = self.address();
        let waiting = spend(&self.node, &coin, &address, 2_000);
        let other = spend(&self.node, &coin, &self.node.new_address(), 3_000);
        if self.node.broadcast(&waiting).is_ok() {
            self.node.generate_block_with(&[other]);
        }
    }

    /// Payments that spend one another, unconfirmed.
    fn chain_of_payments(&mut self) {
        let address = self.address();
        let paid = self.node.send(&address, Amount::from_sat(500_000));
        let coin = crate::spend::output_to(&self.node, paid, &address);
        let next = self.address();
        let child = spend(&self.node, &[coin], &next, 1_000);
        drop(self.node.broadcast(&child));
    }

    /// The last blocks become stale; sometimes the old branch comes back.
    fn reorganise(&mut self, least: u64, most: u64) {
        let depth = least + self.dice.number_below(most - least + 1);
        let height = self.node.height();
        // A power cut may have taken many blocks away.
        let depth = depth.min(height.saturating_sub(105)).max(1);
        let stale = self.node.rpc().get_block_hash(height - depth + 1).unwrap();
        self.node.invalidate_block(&stale);
        for _ in 0..self.dice.number_below(depth + 2) {
            if self.dice.number_below(2) == 0 {
                self.node.generate_block(&[]);
            } else {
                self.node.mine(1);
            }
        }
        if self.dice.number_below(3) == 0 {
            self.node.reconsider_block(&stale);
        } else if self.node.height() < height {
            self.node.mine((height - self.node.height()) as usize);
        }
    }
}

fn chaos_config(node: &RegtestNode) -> NodeConfig {
    let mut config = config(node);
    config.final_depth = FINAL_DEPTH;
    config.audit_every = Duration::from_secs(3);
    config
}

fn rpc(config: &NodeConfig) -> Arc<SilentNode> {
    let rpc = CoreRpc::new(config.rpc_url.clone(), config.rpc_auth.clone());
    Arc::new(SilentNode::new(rpc))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_what_the_node_says_after_every_round_of_loss_restart_and_reorganisation() {
    let rounds = setting("SATPOST_CHAIN_ROUNDS", ROUNDS);
    let mut world = World::new();
    let relays = [
        Relay::of(&world.node.zmq_sequence_url()),
        Relay::of(&world.node.zmq_rawtx_url()),
    ];
    let mut config = chaos_config(&world.node);
    config.zmq_sequence = Some(relays[0].endpoint());
    config.zmq_rawtx = Some(relays[1].endpoint());
    let node = rpc(&config);
    let log = empty_log();
    let mut server = Server::start_over(
        config.clone(),
        log.clone(),
        Arc::new(log.clone()),
        node.clone(),
    );
    server.until_live().await;
    world.watch(&server).await;

    for round in 0..rounds {
        let trouble = world.dice.number_below(12);
        let every = 1 + world.dice.number_below(4) as usize;
        match trouble {
            0 | 1 => relays.iter().for_each(|relay| relay.lose_every(every)),
            2 => relays.iter().for_each(|relay| relay.double_every(every)),
            3 => relays.iter().for_each(|relay| relay.stall(true)),
            4 => node.fall_silent(true),
            5 => world.node.restart(),
            6 => {
                // A power cut loses what the node has not written down.
                world.node.kill();
                world.node.start_again();
            }
            7 => {
                let log = server.kill().await;
                world.happen();
                let writer = Arc::new(log.clone());
                server = Server::start_over(config.clone(), log, writer, node.clone());
            }
            8 if round % 5 == 0 => world.reorganise(20, 40),
            _ => {}
        }
        for _ in 0..1 + world.dice.number_below(6) {
            world.happen();
        }
        node.fall_silent(false);
        relays.iter().for_each(Relay::work_again);
        server.until_it_agrees_with(&world.node).await;
        if (round + 1).is_multiple_of(50) {
            eprintln!("{} rounds", round + 1);
        }
    }
    eprintln!("{rounds} rounds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_and_doubles_nothing_wherever_it_is_killed() {
    let kills = setting("SATPOST_CHAIN_KILLS", KILLS);
    let mut world = World::new();
    let config = chaos_config(&world.node);
    let log = empty_log();
    let server = Server::start(config.clone(), log.clone());
    server.until_live().await;
    world.watch(&server).await;
    server.stop().await;

    let mut died = 0;
    for _ in 0..kills {
        let at = 1 + world.dice.number_below(5);
        let after = world.dice.number_below(2) == 0;
        let dying = Arc::new(MortalLog::new(log.clone(), at, after));
        let server = Server::start_over(config.clone(), log.clone(), dying.clone(), rpc(&config));
        for _ in 0..1 + world.dice.number_below(4) {
            world.happen();
        }
        let death = tokio::time::timeout(Duration::from_secs(1), dying.death());
        died += u64::from(death.await.is_ok());
        server.kill().await;
    }
    let server = Server::start(config, log);
    server.until_live().await;
    server.until_it_agrees_with(&world.node).await;
    eprintln!("{kills} kills, {died} of them at an append");
    assert!(died * 2 > kills, "only {died} of {kills} died at an append");
}
