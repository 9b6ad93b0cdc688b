//! A Bitcoin node of the test's own: regtest, on free ports of loopback, with coins to spend, ended
//! when it is dropped. The calls block; an async test makes them on a blocking thread.

mod process;

use std::fmt;
use std::fs;
use std::path::PathBuf;

use bitcoin::{Address, Amount, BlockHash, Transaction, Txid};
use bitcoincore_rpc::{Auth, Client, RpcApi};
use serde_json::{Value, json};
use tempfile::TempDir;

use process::{NodeProcess, Ports, poll};

/// What every test node runs with; `scripts/node` uses the same file.
const CONFIGURATION: &str = include_str!("../../scripts/regtest.conf");
/// The wallet that mines and pays.
const MINER: &str = "miner";
/// A coinbase output can be spent when 100 blocks stand on it, so that this gives the first coins.
const BLOCKS_TO_FIRST_COINS: usize = 101;

/// A running node. Every method panics when the node refuses, with what it said: a test that cannot
/// prepare its chain has failed.
pub struct RegtestNode {
    process: NodeProcess,
    client: Client,
    // Dropped after the process that writes into it.
    folder: TempDir,
}

impl RegtestNode {
    /// Starts a node with a wallet that has 50 BTC to spend, at height 101.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with `arguments` added to the command line.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let node = Self::start_empty(arguments);
        node.call("createwallet", &[json!(MINER)]);
        node.mine(BLOCKS_TO_FIRST_COINS);
        node
    }

    /// Starts a node with the genesis block only and no wallet. `arguments` are added to the
    /// command line, `-prune=550` for instance.
    #[must_use]
    pub fn start_empty(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("satpost-node-")
            .tempdir()
            .expect("a temporary folder can be made");
        fs::write(folder.path().join("bitcoin.conf"), CONFIGURATION)
            .expect("a file can be written to a temporary folder");
        let process = NodeProcess::start(folder.path(), arguments);
        let client = connect(&process);
        Self {
            process,
            client,
            folder,
        }
    }

    // ---- where it is --------------------------------------------------------------------------

    /// The RPC client of the miner's wallet, for what has no method here.
    #[must_use]
    pub fn rpc(&self) -> &Client {
        &self.client
    }

    /// `http://127.0.0.1:PORT`: RPC, and REST under `/rest`.
    #[must_use]
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports().rpc)
    }

    /// The file with the RPC credentials; another one after each start.
    #[must_use]
    pub fn rpc_cookie(&self) -> PathBuf {
        self.process.cookie()
    }

    /// Where it publishes `sequence`.
    #[must_use]
    pub fn zmq_sequence_url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.ports().zmq_sequence)
    }

    /// Where it publishes `rawtx`.
    #[must_use]
    pub fn zmq_rawtx_url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.ports().zmq_rawtx)
    }

    fn ports(&self) -> Ports {
        self.process.ports()
    }

    // ---- blocks -------------------------------------------------------------------------------

    /// Mines `blocks` blocks with what is in the mempool, and pays the miner.
    pub fn mine(&self, blocks: usize) -> Vec<BlockHash> {
        self.mine_to(blocks, &self.new_address())
    }

    /// Mines `blocks` blocks with what is in the mempool, and pays `address`.
    pub fn mine_to(&self, blocks: usize, address: &Address) -> Vec<BlockHash> {
        let blocks = u64::try_from(blocks).expect("a count fits 64 bits");
        said(
            "generatetoaddress",
            self.client.generate_to_address(blocks, address),
        )
    }

    /// Mines one block with exactly these transactions of the mempool, in this order.
    pub fn generate_block(&self, transactions: &[Txid]) -> BlockHash {
        let transactions: Vec<String> = transactions.iter().map(Txid::to_string).collect();
        self.generate_block_of(json!(transactions))
    }

    /// Mines one block with exactly these transactions, which need not be in the mempool.
    pub fn generate_block_with(&self, transactions: &[Transaction]) -> BlockHash {
        let transactions: Vec<String> = transactions
            .iter()
            .map(bitcoin::consensus::encode::serialize_hex)
            .collect();
        self.generate_block_of(json!(transactions))
    }

    fn generate_block_of(&self, transactions: Value) -> BlockHash {
        let address = self.new_address().to_string();
        let answer = self.call("generateblock", &[json!(address), transactions]);
        parsed("generateblock", answer["hash"].as_str())
    }

    /// Makes the node leave `block` and everything on it: the tip goes back.
    pub fn invalidate_block(&self, block: &BlockHash) {
        said("invalidateblock", self.client.invalidate_block(block));
    }

    /// Lets the node take `block` again.
    pub fn reconsider_block(&self, block: &BlockHash) {
        said("reconsiderblock", self.client.reconsider_block(block));
    }

    /// The tip.
    #[must_use]
    pub fn best_block(&self) -> BlockHash {
        said("getbestblockhash", self.client.get_best_block_hash())
    }

    /// The height of the tip.
    #[must_use]
    pub fn height(&self) -> u64 {
        said("getblockcount", self.client.get_block_count())
    }

    // ---- transactions -------------------------------------------------------------------------

    /// A new address of the miner's wallet.
    #[must_use]
    pub fn new_address(&self) -> Address {
        let address = said("getnewaddress", self.client.get_new_address(None, None));
        address.assume_checked()
    }

    /// Pays `amount` to `address` with a transaction that can be replaced (BIP 125).
    pub fn send(&self, address: &Address, amount: Amount) -> Txid {
        let sent =
            self.client
                .send_to_address(address, amount, None, None, None, Some(true), None, None);
        said("sendtoaddress", sent)
    }

    /// Replaces a transaction that waits by one with a higher fee.
    pub fn bump_fee(&self, transaction: &Txid) -> Txid {
        let answer = self.call("bumpfee", &[json!(transaction.to_string())]);
        parsed("bumpfee", answer["txid"].as_str())
    }

    /// Offers a signed transaction to the mempool.
    ///
    /// # Errors
    /// What the node says when it does not take it.
    pub fn broadcast(&self, transaction: &Transaction) -> Result<Txid, bitcoincore_rpc::Error> {
        self.client.send_raw_transaction(transaction)
    }

    /// The transactions in the mempool.
    #[must_use]
    pub fn mempool(&self) -> Vec<Txid> {
        said("getrawmempool", self.client.get_raw_mempool())
    }

    /// Makes any other RPC call.
    pub fn call(&self, method: &str, arguments: &[Value]) -> Value {
        said(method, self.client.call(method, arguments))
    }

    // ---- life ---------------------------------------------------------------------------------

    /// Stops the node in good order: it writes its mempool down.
    pub fn stop(&mut self) {
        said("stop", self.client.stop());
        self.process.wait_until_ended();
    }

    /// Ends the node at once, as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the node again after [`RegtestNode::stop`] or [`RegtestNode::kill`], on the same ports.
    pub fn start_again(&mut self) {
        self.process.start_again(self.folder.path());
        self.client = connect(&self.process);
        self.wait_for_the_mempool();
        if self
            .folder
            .path()
            .join("regtest/wallets")
            .join(MINER)
            .exists()
        {
            self.call("loadwallet", &[json!(MINER)]);
        }
    }

    /// The node answers before it has read the mempool from disk.
    fn wait_for_the_mempool(&self) {
        let loaded = poll(|| {
            let loaded = self.call("getmempoolinfo", &[])["loaded"] == true;
            loaded.then_some(Ok(()))
        });
        said("loading the mempool", loaded);
    }

    /// Stops the node in good order and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }
}

fn connect(process: &NodeProcess) -> Client {
    let url = format!("http://127.0.0.1:{}", process.ports().rpc);
    let client = Client::new(&url, Auth::CookieFile(process.cookie()));
    said("connecting", client)
}

fn said<T>(what: &str, answer: Result<T, impl fmt::Display>) -> T {
    answer.unwrap_or_else(|error| panic!("{what}: the node said {error}"))
}

fn parsed<T>(method: &str, text: Option<&str>) -> T
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    let text = text.unwrap_or_else(|| panic!("{method}: the field is missing"));
    said(method, text.parse())
}
