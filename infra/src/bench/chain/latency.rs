//! How long after the node accepted it something is durable in the log: a payment, a full block with
//! many payments, a reorganisation.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bitcoin::consensus::encode::serialize_hex;
use satpost_domain::ids::Txid;
use satpost_domain::script::Script;
use serde_json::json;
use tokio::sync::watch;

use super::coins::{Coin, FullChain, TRANSACTIONS_PER_BLOCK, WATCHED, descriptor, fan_out, pay};
use super::node::Node;
use super::server::Server;
use super::{quantile, synthetic};
use crate::bench::BenchError;
use crate::bench::bench_folder::BenchFolder;
use crate::bench::report::Report;
use crate::bitcoind::backfill::LiveJoin;
use crate::bitcoind::{self, NodeMetrics, NodeStatus, convert};

const PATIENCE: Duration = Duration::from_secs(30);
/// How many transactions of a block pay to watched scripts.
const HITS: usize = 1_000;
/// How many blocks are taken back, and how many of their transactions are affected.
const REORG_BLOCKS: usize = 6;
const REORG_HITS_PER_BLOCK: usize = 500;
/// How long the socket of announcements waits before it looks whether it is still wanted.
const SOCKET_WAIT_MS: i32 = 20;
/// How long until it is asked again what that socket has said.
const PAUSE: Duration = Duration::from_millis(1);

/// A watcher that follows a node in this process.
pub(super) struct Live {
    server: Server,
    status: watch::Receiver<NodeStatus>,
    announced: Announced,
}

impl Live {
    /// Starts it and waits until it follows.
    pub(super) async fn start(node: &Node, folder: &mut BenchFolder) -> Result<Self, BenchError> {
        let mut server = Server::open(&folder.fresh()?).await?;
        let (sender, status) = watch::channel(NodeStatus::Connecting);
        let config = node.config();
        let announced = Announced::listen(config.zmq_sequence.as_deref().unwrap_or_default())?;
        let metrics = NodeMetrics::register(&prometheus::Registry::new());
        let metrics = metrics.map_err(BenchError::of("the metrics"))?;
        server.tasks.spawn(bitcoind::run(
            config,
            Arc::new(node.rpc()),
            server.handler.clone(),
            Arc::clone(&server.read_model),
            (sender, metrics),
            Arc::new(LiveJoin::default()),
            server.stop.clone(),
        ));
        let mut live = Self {
            server,
            status,
            announced,
        };
        live.until(NodeStatus::is_live).await?;
        Ok(live)
    }

    async fn until(&mut self, wanted: impl FnMut(&NodeStatus) -> bool) -> Result<(), BenchError> {
        let waiting = tokio::time::timeout(PATIENCE, self.status.wait_for(wanted)).await;
        match waiting {
            Ok(Ok(_)) => Ok(()),
            _ => Err(BenchError::of("the watcher")("it does not follow the node")),
        }
    }

    /// Waits until this block is the tip in the log.
    async fn until_tip(&mut self, hash: &str) -> Result<Instant, BenchError> {
        let is_tip = |status: &NodeStatus| match status {
            NodeStatus::Live { tip, .. } => tip.hash.to_string() == hash,
            _ => false,
        };
        self.until(is_tip).await?;
        Ok(Instant::now())
    }

    /// Payments one by one.
    pub(super) async fn payments(
        &mut self,
        node: &mut Node,
        chain: FullChain,
        quick: bool,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let count = if quick { 20 } else { 500 };
        let mut after_announcement = Vec::new();
        let mut after_call = Vec::new();
        for (number, mut coin) in (0..count).zip(chain.coins) {
            let number = number % WATCHED;
            let payment = pay(&mut coin, number);
            let txid = convert::txid(payment.compute_txid());
            let durable = tokio::spawn(self.until_readable(number, txid)?);
            let called = Instant::now();
            node.call("sendrawtransaction", &[json!(serialize_hex(&payment))])?;
            let durable = durable.await.ok().flatten();
            let durable =
                durable.ok_or_else(|| BenchError::of("the watcher")("a payment is missing"))?;
            let announced = self.announced.when(&txid.to_string()).await?;
            after_announcement.push(milliseconds(announced, durable));
            after_call.push(milliseconds(called, durable));
        }
        for (metric, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let value = quantile(&mut after_announcement, share);
            report.figure(
                "payment accepted to durable and readable",
                metric,
                value,
                "ms",
            );
        }
        for (metric, share) in [("p50", 0.5), ("p99", 0.99)] {
            let value = quantile(&mut after_call, share);
            report.figure("payment sent to durable and readable", metric, value, "ms");
        }
        Ok(())
    }

    /// When the read model has this payment to the script with this number. The server records more
    /// than payments, so that something new is not the payment yet.
    fn until_readable(
        &self,
        number: u64,
        txid: Txid,
    ) -> Result<impl Future<Output = Option<Instant>> + use<>, BenchError> {
        let script = Script::new(synthetic::script(number).as_bytes());
        let script = script.map_err(BenchError::of("a script"))?.hash();
        let read_model = Arc::clone(&self.server.read_model);
        let mut positions = read_model.positions();
        let readable = async move {
            let found = || read_model.transaction_status().find(&[script], &txid);
            while found().is_none() {
                positions.changed().await.ok()?;
            }
            Some(Instant::now())
        };
        Ok(async { tokio::time::timeout(PATIENCE, readable).await.ok()? })
    }

    /// Full blocks with many payments, none of which was in the mempool.
    pub(super) async fn blocks(
        &mut self,
        node: &mut Node,
        quick: bool,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let mut coins = fan_out(node, 2)?;
        let count = if quick { 2 } else { 20 };
        let mut durations = Vec::new();
        for _ in 0..count {
            let hash = self.mine(node, &mut coins, HITS)?;
            let durable = self.until_tip(&hash).await?;
            durations.push(milliseconds(self.announced.when(&hash).await?, durable));
        }
        let case = format!("full block with {HITS} payments announced to durable");
        for (metric, share) in [("p50", 0.5), ("p99", 0.99)] {
            report.figure(&case, metric, quantile(&mut durations, share), "ms");
        }
        Ok(())
    }

    /// Mines a block of all coins; the first `hits` payments are to watched scripts.
    fn mine(&self, node: &Node, coins: &mut [Coin], hits: usize) -> Result<String, BenchError> {
        let payments = coins.iter_mut().enumerate().map(|(place, coin)| {
            let place = place as u64;
            let number = if place < hits as u64 {
                place % WATCHED
            } else {
                WATCHED + place
            };
            serialize_hex(&pay(coin, number))
        });
        let payments: Vec<String> = payments.collect();
        node.generate(&descriptor(), &payments)
    }

    /// Some blocks with many payments are taken back, and empty ones come in their place.
    pub(super) async fn reorganisation(
        &mut self,
        node: &mut Node,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let mut coins = fan_out(node, 3)?;
        coins.truncate(REORG_HITS_PER_BLOCK.min(TRANSACTIONS_PER_BLOCK));
        let first = self.mine(node, &mut coins, REORG_HITS_PER_BLOCK)?;
        let mut last = first.clone();
        for _ in 1..REORG_BLOCKS {
            last = self.mine(node, &mut coins, REORG_HITS_PER_BLOCK)?;
        }
        self.until_tip(&last).await?;
        let start = Instant::now();
        node.call("invalidateblock", &[json!(first)])?;
        for _ in 0..=REORG_BLOCKS {
            last = node.generate(&descriptor(), &[])?;
        }
        let node_done = Instant::now();
        let durable = self.until_tip(&last).await?;
        let case = format!(
            "reorganisation of {REORG_BLOCKS} blocks with {} payments",
            REORG_BLOCKS * REORG_HITS_PER_BLOCK
        );
        report.figure(&case, "from its begin", milliseconds(start, durable), "ms");
        report.figure(
            &case,
            "after the node",
            milliseconds(node_done, durable),
            "ms",
        );
        Ok(())
    }

    /// Ends the watcher.
    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}

/// How long after `from` `to` was; nothing when it was before.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

/// When the node announced what, on a socket beside that of the watcher.
struct Announced {
    moments: Arc<Mutex<HashMap<String, Instant>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Announced {
    fn listen(endpoint: &str) -> Result<Self, BenchError> {
        let socket = subscribe(endpoint).map_err(BenchError::of("the socket of announcements"))?;
        let moments = Arc::<Mutex<HashMap<String, Instant>>>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (noted, stopped) = (Arc::clone(&moments), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok(message) = socket.recv_multipart(0) else {
                    continue;
                };
                let now = Instant::now();
                if let Some(hash) = message.get(1).and_then(|body| body.get(..32)) {
                    let mut moments = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    moments.insert(hex::encode(hash), now);
                }
            }
        });
        Ok(Self {
            moments,
            stop,
            thread: Some(thread),
        })
    }

    /// When this transaction or block was announced last. The watcher may have heard of it, and the
    /// log have it, before the thread here had its turn.
    async fn when(&self, hash: &str) -> Result<Instant, BenchError> {
        let began = Instant::now();
        loop {
            if let Some(moment) = self.noted(hash) {
                return Ok(moment);
            }
            if began.elapsed() > PATIENCE {
                let reason = format!("{hash} was not announced");
                return Err(BenchError::of("the node")(reason));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn noted(&self, hash: &str) -> Option<Instant> {
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.get(hash).copied()
    }
}

fn subscribe(endpoint: &str) -> zmq::Result<zmq::Socket> {
    let socket = zmq::Context::new().socket(zmq::SUB)?;
    socket.set_rcvhwm(0)?;
    socket.set_rcvtimeo(SOCKET_WAIT_MS)?;
    socket.set_subscribe(b"sequence")?;
    socket.connect(endpoint)?;
    Ok(socket)
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
