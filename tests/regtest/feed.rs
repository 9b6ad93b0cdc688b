//! What a phone gets of a real chain through a real server: each step once, one wake-up for a
//! reorganisation, and proofs that it checks by itself.

use std::path::Path;
use std::time::Duration;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, BlockHash, Txid};
use satpost_api_types::transactions::{TransactionChange, TransactionStatus};
use satpost_client::seed::Seed;
use satpost_client::wallet::{ChangeFeed, NewWallet, Wallet, WalletOptions};
use satpost_commands::ports::Clock as _;
use satpost_domain::limits::PUSH_FETCH_GRACE;
use satpost_infra::system::SystemClock;
use satpost_tests::node::RegtestNode;
use satpost_tests::process::ServerProcess;
use satpost_tests::push_service::PushService;
use serde_json::json;
use tokio::time::{sleep, timeout};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for what must not happen to happen: longer than the pause between two wake-ups.
const MOMENT: Duration = Duration::from_millis(2_500);
const PAYMENT: Amount = Amount::from_sat(5_000_000);

fn server(folder: &Path, node: &RegtestNode) -> ServerProcess {
    let cookie = node.rpc_cookie().to_string_lossy().into_owned();
    let flags = [
        ("--network", "regtest".to_owned()),
        ("--node-rpc-url", node.rpc_url()),
        ("--node-rpc-cookie", cookie),
        ("--node-zmq-sequence", node.zmq_sequence_url()),
        ("--node-zmq-rawtx", node.zmq_rawtx_url()),
        ("--push-allow", "127.0.0.1".to_owned()),
    ];
    let flags: Vec<String> = flags
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect();
    ServerProcess::start(&folder.join("satpost"), &flags)
}

fn wallet(folder: &Path, server: &ServerProcess) -> Wallet {
    let mut options = WalletOptions::new(&folder.join("wallet"));
    options.server = Some(format!("http://{}", server.api));
    let new = NewWallet {
        display_name: "Alice".to_owned(),
        network: None,
        restored: false,
    };
    Wallet::create(Seed::from_entropy(&[7; 16]).unwrap(), new, options).unwrap()
}

async fn next(wallet: &Wallet, feed: &mut ChangeFeed) -> TransactionChange {
    let change = timeout(PATIENCE, wallet.next_change(feed)).await;
    change.expect("a change comes in time").unwrap()
}

/// The name of a step, and the height it names.
fn step(change: &TransactionChange) -> (&'static str, Option<u32>) {
    let status = &change.step.status;
    let height = match status {
        TransactionStatus::Confirmed { block }
        | TransactionStatus::Unconfirmed { block }
        | TransactionStatus::DepthReached { block, .. } => Some(block.height),
        _ => None,
    };
    (status.event_name(), height)
}

/// The wallet's own check of the server's proof agrees with the node, which checks its own.
async fn assert_proven(wallet: &Wallet, node: &RegtestNode, txid: Txid, block: BlockHash) {
    let proven = wallet.verify_transaction(&txid.to_string()).await.unwrap();
    assert_eq!(proven.header.block_hash(), block);
    let of_node = node.call("gettxoutproof", &[json!([txid]), json!(block)]);
    let header = serialize_hex(&proven.header);
    assert_eq!(of_node.as_str().unwrap()[..160], header);
    assert_eq!(node.call("verifytxoutproof", &[of_node]), json!([txid]));
    let raw = node.call(
        "getrawtransaction",
        &[json!(txid), json!(false), json!(block)],
    );
    assert_eq!(raw, json!(proven.proof.tx));
}

/// Fetches until the phone has nothing to be woken for. Returns how often it was woken so far.
async fn settle(wallet: &mut Wallet, push: &PushService) -> usize {
    loop {
        let before = push.pushes();
        wallet.list_transactions(None).await.unwrap();
        sleep(PUSH_FETCH_GRACE + MOMENT).await;
        if push.pushes() == before {
            return before;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_is_told_every_step_once_and_woken_once_for_a_reorganisation() {
    let node = RegtestNode::start();
    let folder = tempfile::tempdir().unwrap();
    let push = PushService::start();
    let mut server = server(folder.path(), &node);
    let mut wallet = wallet(folder.path(), &server);
    wallet.register_client().await.unwrap();
    let service = push.url();
    wallet.set_push_target(&service, PATIENCE).await.unwrap();
    let address = node.new_address();
    let addresses = [address.to_string()];
    wallet.watch_addresses(&addresses).await.unwrap();

    // Seen, and confirmed among others, which come first: the node's wallet would spend the payment.
    for _ in 0..5 {
        node.send(&node.new_address(), PAYMENT);
    }
    let mut feed = wallet.listen(None).unwrap();
    let txid = node.send(&address, PAYMENT);
    let seen = next(&wallet, &mut feed).await;
    assert_eq!((step(&seen), seen.txid), (("seen", None), txid.to_string()));
    let block = node.mine(1)[0];
    let confirmed = next(&wallet, &mut feed).await;
    assert_eq!(step(&confirmed), ("confirmed", Some(102)));
    assert_proven(&wallet, &node, txid, block).await;
    drop(feed);

    // Confirmed elsewhere while nobody listens: two steps, one wake-up.
    let woken = settle(&mut wallet, &push).await;
    node.invalidate_block(&block);
    node.generate_block(&[]);
    let elsewhere = node.mine(1)[0];
    timeout(PATIENCE, async {
        while push.pushes() == woken {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the phone is woken");
    sleep(MOMENT).await;
    let counted_at = SystemClock.now().as_millis();
    sleep(MOMENT).await;
    assert_eq!(push.pushes(), woken + 1, "one wake-up for both");

    // The server is killed before the phone comes; nothing is lost, nothing is told again.
    server.kill();
    server.start_again();
    let mut feed = wallet.listen(Some(confirmed.step.position)).unwrap();
    let back = next(&wallet, &mut feed).await;
    assert_eq!(step(&back), ("unconfirmed", Some(102)));
    let again = next(&wallet, &mut feed).await;
    assert_eq!(step(&again), ("confirmed", Some(103)));
    assert!(
        again.step.at < counted_at,
        "it had happened when the wake-ups were counted"
    );
    assert_proven(&wallet, &node, txid, elsewhere).await;

    // It is killed while the phone listens.
    server.kill();
    node.mine(2);
    server.start_again();
    let deep = next(&wallet, &mut feed).await;
    assert_eq!(step(&deep), ("depth", Some(105)));
    let more = timeout(MOMENT, wallet.next_change(&mut feed)).await;
    assert!(more.is_err(), "nothing is told twice: {more:?}");
    drop(feed);
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}
