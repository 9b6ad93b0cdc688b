//! `kill -9` of a real server while it reads history, at random moments. `SATPOST_CHAIN_SEED` replays
//! the moments of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bitcoin::OutPoint;
use satpost_api_types::addresses as api;
use satpost_api_types::balance::{BalanceResponse, Utxo};
use satpost_api_types::transactions::TransactionStatus;
use satpost_client::seed::Seed;
use satpost_client::wallet::{NewWallet, Wallet, WalletOptions};
use satpost_tests::process::ServerProcess;

use super::*;
use crate::chaos::thrown_dice;
use crate::spend::keep;

/// So many kills during a back-fill there are; one that comes too late or too early does not count.
const KILLS: usize = 6;
const ATTEMPTS: usize = 20;
/// The server begins to read within a quarter of a second, and is through after one or two.
const LATEST_KILL_MILLIS: u64 = 1_000;
/// Several appends of the back-fill, which tells its cursor every 512 blocks.
const BLOCKS: usize = 1_500;

fn server(folder: &Path, node: &RegtestNode) -> ServerProcess {
    let flags = [
        ("--network", "regtest".to_owned()),
        ("--node-rpc-url", node.rpc_url()),
        (
            "--node-rpc-cookie",
            node.rpc_cookie().to_string_lossy().into_owned(),
        ),
        ("--node-zmq-sequence", node.zmq_sequence_url()),
        ("--node-zmq-rawtx", node.zmq_rawtx_url()),
    ];
    let flags: Vec<String> = flags
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect();
    ServerProcess::start(&data_folder(folder), &flags)
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("satpost")
}

/// True when the server has told of a back-fill that began, and not of its end.
fn is_reading(folder: &Path) -> bool {
    let log = fs::read_to_string(data_folder(folder).with_extension("server.log")).unwrap();
    let begun = log.matches("a back-fill begins").count();
    begun > log.matches("a back-fill is complete").count()
}

async fn wallet(folder: &Path, server: &ServerProcess) -> Wallet {
    let mut options = WalletOptions::new(&folder.join("wallet"));
    options.server = Some(server.url());
    let new = NewWallet {
        display_name: "Alice".to_owned(),
        network: None,
        restored: false,
    };
    let mut wallet = Wallet::create(Seed::from_entropy(&[7; 16]).unwrap(), new, options).unwrap();
    wallet.register_client().await.unwrap();
    wallet
}

/// Payments to all of `addresses`, some of them spent to the next, over many blocks.
fn much_history(node: &RegtestNode, addresses: &[Address]) {
    for (address, next) in addresses.iter().zip(addresses.iter().cycle().skip(1)) {
        let paid = sent(node, address, PAYMENT);
        sent(node, address, PAYMENT * 2);
        node.mine(BLOCKS / addresses.len() / 2);
        let spending = spend(node, &[paid], next, 1_000);
        let spending = node.broadcast(&spending).unwrap();
        keep(node, &output_to(node, spending, next));
        node.mine(BLOCKS / addresses.len() / 2);
    }
}

/// A coin that the miner's wallet leaves alone.
fn sent(node: &RegtestNode, address: &Address, amount: Amount) -> OutPoint {
    let coin = output_to(node, node.send(address, amount), address);
    keep(node, &coin);
    coin
}

fn entry(address: &Address) -> api::WatchEntry {
    api::WatchEntry::Detailed(api::DetailedEntry {
        address: Some(address.to_string()),
        birthday: Some(api::Birthday::Height(0)),
        ..api::DetailedEntry::default()
    })
}

async fn until_complete(wallet: &Wallet) -> BalanceResponse {
    let waiting = async {
        loop {
            let balance = wallet.get_balance().await.unwrap();
            if balance.completeness.complete {
                return balance;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let balance = tokio::time::timeout(PATIENCE, waiting).await;
    balance.expect("the history becomes complete")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_complete_and_right_after_a_kill_of_the_process_at_any_moment() {
    let node = RegtestNode::start();
    let addresses: Vec<_> = (0..ATTEMPTS).map(|_| node.new_address()).collect();
    much_history(&node, &addresses);
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(folder.path(), &node);
    let mut wallet = wallet(folder.path(), &server).await;
    let mut dice = thrown_dice();
    let mut kills = 0;
    for address in &addresses {
        // One more address waits for its history, while that of others may be half read.
        wallet.watch_entries(&[entry(address)]).await.unwrap();
        if kills == KILLS {
            continue;
        }
        let moment = Duration::from_millis(dice.number_below(LATEST_KILL_MILLIS));
        tokio::time::sleep(moment).await;
        server.kill();
        kills += usize::from(is_reading(folder.path()));
        node.mine(1);
        server.start_again();
    }
    assert!(kills >= KILLS - 1, "only {kills} kills met a back-fill");
    let balance = until_complete(&wallet).await;
    assert_is_the_nodes(&wallet, &balance, &node, &addresses).await;
    assert_told_once(&mut wallet, &node).await;
    server.kill();
    server.start_again();
    assert_eq!(
        until_complete(&wallet).await,
        balance,
        "after one more kill"
    );
}

/// The coins, and their sum, are those of the node's set of unspent outputs.
async fn assert_is_the_nodes(
    wallet: &Wallet,
    balance: &BalanceResponse,
    node: &RegtestNode,
    addresses: &[Address],
) {
    let mut utxos: Vec<Utxo> = Vec::new();
    let mut after = None;
    loop {
        let page = wallet.list_utxos(after.as_deref()).await.unwrap();
        assert!(page.completeness.complete);
        utxos.extend(page.utxos);
        after = page.cursor;
        if !page.more {
            break;
        }
    }
    let ours: BTreeSet<_> = utxos
        .into_iter()
        .map(|coin| {
            let height = u64::from(coin.height.expect("nothing waits in the mempool"));
            (coin.txid, u64::from(coin.vout), coin.value_sat, height)
        })
        .collect();
    let of_node: BTreeSet<_> = addresses
        .iter()
        .flat_map(|address| node_unspent(node, address))
        .collect();
    assert_eq!(ours, of_node);
    let sum: u64 = of_node.iter().map(|(_, _, value_sat, _)| value_sat).sum();
    assert_eq!(balance.confirmed_sat, sum);
    let other = (
        balance.immature_sat,
        balance.incoming_sat,
        balance.outgoing_sat,
    );
    assert_eq!(other, (0, 0, 0));
}

/// Every transaction of every address is there, in the node's block, and was confirmed once.
async fn assert_told_once(wallet: &mut Wallet, node: &RegtestNode) {
    let list = wallet.list_transactions(None).await.unwrap();
    assert!(list.complete);
    let mut addresses: BTreeMap<String, usize> = BTreeMap::new();
    for found in &list.transactions {
        *addresses.entry(found.address.clone()).or_default() += 1;
        let confirmed = found.history.iter().filter_map(|step| match &step.status {
            TransactionStatus::Confirmed { block } => Some(block.hash.clone()),
            _ => None,
        });
        let confirmed: Vec<String> = confirmed.collect();
        let of_node = node.call("gettransaction", &[json!(found.txid)]);
        assert_eq!(json!(confirmed), json!([of_node["blockhash"]]), "{found:?}");
    }
    // Two payments, the spend of one of them, and the change of the address before.
    assert!(addresses.values().all(|count| *count == 4), "{addresses:?}");
}
