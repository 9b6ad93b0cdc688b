//! Proofs that transactions are in blocks, as far as the API decides; the node's part is tested on a
//! real one.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use satpost_api::ports::{BlockProof, BlockProofs, ProofError};
use satpost_api_types::problem::ProblemCode as Code;
use satpost_api_types::transactions::TransactionProof;
use satpost_domain::ids::{BlockHash, Txid};
use satpost_tests::http_server::{HttpServer, ServerOptions};
use satpost_tests::signed_request::{Answer, Request};

use super::events::stream::{Chain, block, confirmed, seen, txid, unconfirmed};
use super::wallet::Wallet;

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// Gives out one proof, or one failure.
struct Prover {
    outcome: Mutex<Result<BlockProof, ProofError>>,
    asked: Mutex<Vec<(Txid, BlockHash)>>,
}

#[async_trait]
impl BlockProofs for Prover {
    async fn block_proof(&self, txid: Txid, block: BlockHash) -> Result<BlockProof, ProofError> {
        self.asked.lock().unwrap().push((txid, block));
        self.outcome.lock().unwrap().clone()
    }
}

async fn ask(wallet: &Wallet, id: u32, server: &HttpServer) -> Answer {
    let path = format!("/v1/transactions/{}/proof", txid(id));
    Request::query(&path, &wallet.identity).send(server).await
}

#[tokio::test]
async fn proves_what_the_client_watches_and_what_is_in_a_block() {
    let proof = BlockProof {
        header: [1; 80],
        merkle: vec![[2; 32], [3; 32]],
        pos: 2,
        transaction: vec![4; 70],
    };
    let prover = Arc::new(Prover {
        outcome: Mutex::new(Ok(proof)),
        asked: Mutex::default(),
    });
    let server = HttpServer::start_with(ServerOptions {
        proofs: prover.clone(),
        ..ServerOptions::default()
    })
    .await;
    let alice = Wallet::registered(1, &server).await;
    let bob = Wallet::registered(2, &server).await;
    alice.watch(&[ADDRESS]).send(&server).await;
    let mut chain = Chain::of(&server);
    chain.append(vec![seen(1, ADDRESS)]).await;

    let unknown = ask(&alice, 2, &server).await;
    unknown.expect_problem(Code::UnknownTransaction);
    let waits = ask(&alice, 1, &server).await;
    waits.expect_problem(Code::NotConfirmed);
    chain.append(vec![confirmed(1, ADDRESS, 101)]).await;
    let foreign = ask(&bob, 1, &server).await;
    foreign.expect_problem(Code::UnknownTransaction);
    assert_eq!(*prover.asked.lock().unwrap(), [], "nobody is asked in vain");

    let proven: TransactionProof = ask(&alice, 1, &server).await.expect(200);
    assert_eq!(
        proven,
        TransactionProof {
            block_height: 101,
            block_hash: block(101).hash,
            header: "01".repeat(80),
            merkle: vec!["02".repeat(32), "03".repeat(32)],
            pos: 2,
            tx: "04".repeat(70),
        }
    );
    let asked = (txid(1), block(101).hash.parse().unwrap());
    assert_eq!(*prover.asked.lock().unwrap(), [asked]);

    for (failure, code) in [
        (ProofError::NodeUnavailable, Code::NodeUnavailable),
        (ProofError::BlockPruned, Code::BlockPruned),
        (ProofError::Busy, Code::Unavailable),
    ] {
        *prover.outcome.lock().unwrap() = Err(failure);
        ask(&alice, 1, &server).await.expect_problem(code);
    }
    chain.append(vec![unconfirmed(1, ADDRESS, 101)]).await;
    let waits = ask(&alice, 1, &server).await;
    waits.expect_problem(Code::NotConfirmed);
    server.stop().await;
}

#[tokio::test]
async fn says_that_it_has_no_node_and_what_is_no_transaction_id() {
    let server = HttpServer::start().await;
    let wallet = Wallet::registered(1, &server).await;
    wallet.watch(&[ADDRESS]).send(&server).await;
    Chain::of(&server)
        .append(vec![confirmed(1, ADDRESS, 101)])
        .await;
    let answer = ask(&wallet, 1, &server).await;
    answer.expect_problem(Code::NodeUnavailable);
    assert!(answer.header("retry-after").is_some());
    let odd = Request::query("/v1/transactions/last/proof", &wallet.identity);
    odd.send(&server).await.expect_problem(Code::Malformed);
    server.stop().await;
}
