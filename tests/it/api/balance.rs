//! Balances, coins and rescans of watched addresses, over a chain that the test tells.

use std::sync::Arc;

use reqwest::Method;
use satpost_api_types::addresses::{Birthday, ListAddressesResponse, WatchEntry};
use satpost_api_types::balance::{
    BalanceResponse, ListUtxosResponse, RescanAddressesRequest, RescanAddressesResponse,
};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_commands::Handler;
use satpost_commands::record_chain::record_chain;
use satpost_domain::Position;
use satpost_domain::chain::{BlockRef, ChainCommand, OutPoint, Sighting, Touch};
use satpost_domain::ids::{BlockHash, ScriptHash, Txid};
use satpost_domain::limits::FINAL_DEPTH_DEFAULT;
use satpost_domain::network::Network;
use satpost_event_store::memory::MemoryEventStore;
use satpost_infra::event_log::StoredEventLog;
use satpost_infra::system::{SystemClock, SystemIds};
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const OTHER: &str = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn";
const COIN_SAT: u64 = 50_000;

/// What the watcher would record.
struct Told {
    handler: Handler,
    tip: BlockRef,
    position: Position,
}

fn block(height: u32) -> BlockRef {
    let mut hash = [0xb1; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    BlockRef {
        height,
        hash: BlockHash::new(hash),
    }
}

fn txid(number: u8) -> Txid {
    Txid::new([number; 32])
}

fn coin(number: u8) -> OutPoint {
    OutPoint {
        txid: txid(number),
        vout: 0,
    }
}

/// A transaction that pays one coin to a script.
fn payment(number: u8, script_hash: ScriptHash, index: u32) -> Sighting {
    Sighting {
        txid: txid(number),
        index,
        touches: vec![Touch {
            script_hash,
            received_sat: COIN_SAT,
            spent_sat: 0,
            outputs: vec![(0, COIN_SAT)],
        }],
        inputs: Vec::new(),
    }
}

/// A transaction that takes a coin away from a script.
fn spend(number: u8, script_hash: ScriptHash, of: OutPoint) -> Sighting {
    Sighting {
        txid: txid(number),
        index: 1,
        touches: vec![Touch {
            script_hash,
            received_sat: 0,
            spent_sat: COIN_SAT,
            outputs: Vec::new(),
        }],
        inputs: vec![of],
    }
}

impl Told {
    async fn begin(store: &MemoryEventStore) -> Self {
        let log = Arc::new(StoredEventLog::new(Arc::new(store.clone())));
        let mut told = Self {
            handler: Handler::new(log, Arc::new(SystemClock), Arc::new(SystemIds::new())),
            tip: block(100),
            position: Position::START,
        };
        let start = ChainCommand::Start {
            genesis: block(0).hash,
            tip: told.tip,
            at: told.handler.now(),
        };
        told.record(start).await;
        told
    }

    async fn record(&mut self, command: ChainCommand) {
        let outcome = record_chain(&self.handler, Network::Regtest, &command).await;
        self.position = outcome.unwrap().position;
    }

    async fn connect(&mut self, sightings: Vec<Sighting>) {
        let next = block(self.tip.height + 1);
        self.record(ChainCommand::ConnectBlock {
            block: next,
            previous: self.tip.hash,
            time_secs: 1_700_000_000 + next.height,
            sightings,
            conflicts: Vec::new(),
            depths: Vec::new(),
            final_depth: FINAL_DEPTH_DEFAULT,
        })
        .await;
        self.tip = next;
    }

    async fn see(&mut self, sighting: Sighting) {
        let at = self.handler.now();
        let sightings = vec![sighting];
        self.record(ChainCommand::SeeTransactions { sightings, at })
            .await;
    }
}

/// A server, a client that watches [`ADDRESS`], and what the watcher tells.
struct Stage {
    server: HttpServer,
    wallet: Wallet,
    told: Told,
    script: ScriptHash,
}

impl Stage {
    async fn set() -> Self {
        let store = MemoryEventStore::new();
        let told = Told::begin(&store).await;
        let server = HttpServer::start_with(ServerOptions {
            store: Arc::new(store),
            ..ServerOptions::default()
        })
        .await;
        let wallet = Wallet::registered(1, &server).await;
        let watched = wallet.watch(&[ADDRESS]).send(&server).await;
        assert_eq!(watched.status.as_u16(), 200, "{}", watched.text());
        let list = Request::query("/v1/addresses", &wallet.identity);
        let list: ListAddressesResponse = list.send(&server).await.expect(200);
        let script = list.addresses[0].script_hash.parse().unwrap();
        Self {
            server,
            wallet,
            told,
            script,
        }
    }

    fn ask(&self, path: &str) -> Request<'_> {
        Request::query(path, &self.wallet.identity)
            .header("satpost-min-position", self.told.position)
    }

    async fn balance(&self) -> BalanceResponse {
        let answer = self.ask("/v1/balance").send(&self.server).await;
        answer.expect(200)
    }

    async fn utxos(&self, query: &str) -> ListUtxosResponse {
        let path = format!("/v1/utxos{query}");
        self.ask(&path).send(&self.server).await.expect(200)
    }

    fn rescan(&self, addresses: &[&str], height: u32) -> Request<'_> {
        let addresses = addresses
            .iter()
            .map(|&one| WatchEntry::from(one.to_owned()));
        Request::command(Method::POST, "/v1/addresses/rescan", &self.wallet.identity).json(
            &RescanAddressesRequest {
                addresses: addresses.collect(),
                birthday: Birthday::Height(height),
            },
        )
    }
}

#[tokio::test]
async fn tells_confirmed_incoming_outgoing_and_immature_amounts_as_of_a_block() {
    let mut stage = Stage::set().await;
    let (script, empty) = (stage.script, stage.balance().await);
    assert_eq!(empty.confirmed_sat + empty.incoming_sat, 0);
    assert_eq!(empty.as_of.map(|block| block.height), Some(100));

    stage.told.see(payment(1, script, 0)).await;
    let seen = stage.balance().await;
    assert_eq!((seen.confirmed_sat, seen.incoming_sat), (0, COIN_SAT));

    let both = vec![payment(9, script, 0), payment(1, script, 1)];
    stage.told.connect(both).await;
    let mined = stage.balance().await;
    assert_eq!((mined.confirmed_sat, mined.incoming_sat), (COIN_SAT, 0));
    assert_eq!(
        mined.immature_sat, COIN_SAT,
        "the first of a block is its coinbase"
    );
    assert_eq!(mined.as_of.map(|block| block.height), Some(101));

    stage.told.see(spend(2, script, coin(1))).await;
    let spending = stage.balance().await;
    assert_eq!(
        (spending.confirmed_sat, spending.outgoing_sat),
        (COIN_SAT, COIN_SAT)
    );

    stage.told.connect(vec![spend(2, script, coin(1))]).await;
    let spent = stage.balance().await;
    assert_eq!((spent.confirmed_sat, spent.outgoing_sat), (0, 0));

    let hash = stage.told.tip.hash;
    stage
        .told
        .record(ChainCommand::DisconnectBlock { hash })
        .await;
    let back = stage.balance().await;
    assert_eq!(
        (back.confirmed_sat, back.outgoing_sat),
        (COIN_SAT, COIN_SAT)
    );
    stage.server.stop().await;
}

#[tokio::test]
async fn lists_coins_in_pages_and_says_what_spends_them() {
    let mut stage = Stage::set().await;
    let script = stage.script;
    let payments = (1..=5).map(|number| payment(number, script, number.into()));
    stage.told.connect(payments.collect()).await;
    stage.told.see(spend(7, script, coin(2))).await;
    let mut found = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = stage.utxos(&query).await;
        assert_eq!(page.as_of.map(|block| block.height), Some(101));
        found.extend(page.utxos);
        let Some(cursor) = page.cursor.filter(|_| page.more) else {
            break;
        };
        query = format!("?limit=2&after={cursor}");
    }
    let txids: Vec<_> = found.iter().map(|coin| coin.txid.clone()).collect();
    let expected: Vec<_> = (1..=5).map(|number| txid(number).to_string()).collect();
    assert_eq!(txids, expected);
    assert!(
        found
            .iter()
            .all(|coin| coin.height == Some(101) && coin.mature)
    );
    let spenders: Vec<_> = found.iter().map(|coin| coin.spent_by.clone()).collect();
    let spender = Some(txid(7).to_string());
    assert_eq!(spenders, [None, spender, None, None, None]);
    for bad in ["?limit=0", "?limit=501", "?after=x", "?other=1"] {
        let asked = stage.ask(&format!("/v1/utxos{bad}"));
        asked
            .send(&stage.server)
            .await
            .expect_problem(Code::Malformed);
    }
    stage.server.stop().await;
}

#[tokio::test]
async fn never_gives_an_empty_answer_for_what_is_not_known() {
    let mut stage = Stage::set().await;
    // Nobody asked for what was before the watch.
    let balance = stage.balance().await;
    assert!(!balance.completeness.complete);
    assert_eq!(balance.completeness.history_from, None);

    let foreign = "00".repeat(32);
    for path in ["/v1/balance", "/v1/utxos"] {
        let of_one = format!("{path}?script_hash={}", stage.script);
        let known = stage.ask(&of_one).send(&stage.server).await;
        assert_eq!(known.status.as_u16(), 200, "{}", known.text());
        let of_foreign = format!("{path}?script_hash={foreign}");
        let unknown = stage.ask(&of_foreign).send(&stage.server).await;
        unknown.expect_problem(Code::NotWatched);
        let nonsense = stage.ask(&format!("{path}?script_hash=zz"));
        nonsense
            .send(&stage.server)
            .await
            .expect_problem(Code::Malformed);
    }
    stage.told.connect(Vec::new()).await;
    assert!(
        !stage.balance().await.completeness.complete,
        "time alone tells nothing of the past"
    );
    stage.server.stop().await;
}

#[tokio::test]
async fn takes_a_rescan_once_and_refuses_what_is_not_watched() {
    let stage = Stage::set().await;
    let first = stage.rescan(&[ADDRESS], 10).send(&stage.server).await;
    let first: RescanAddressesResponse = first.expect(200);
    assert_eq!(first.changed, 1);
    assert!(!first.completeness.complete, "nothing was read yet");
    let again = stage.rescan(&[ADDRESS], 10).send(&stage.server).await;
    assert_eq!(again.expect::<RescanAddressesResponse>(200).changed, 0);
    let foreign = stage.rescan(&[ADDRESS, OTHER], 10);
    foreign
        .send(&stage.server)
        .await
        .expect_problem(Code::NotWatched);
    let absurd = stage.rescan(&[ADDRESS], 1_000_000);
    absurd
        .send(&stage.server)
        .await
        .expect_problem(Code::InvalidBirthday);
    let none = stage.rescan(&[], 10).send(&stage.server).await;
    none.expect_problem(Code::LimitExceeded);
    stage.server.stop().await;
}
