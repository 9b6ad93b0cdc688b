//! Receive addresses and transactions.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use satpost_api_types::transactions::{Transaction, TransactionStatus};
use satpost_client::wallet::Wallet;
use serde_json::json;
use tokio::time::Instant;

use crate::arguments::ListTransactionsArguments;
use crate::output::Output;

/// How often the server is asked while following.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// Gives out the next receive address.
pub(crate) fn new_address(wallet: &mut Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    let address = wallet.new_address()?;
    output.show(&address, &json!({ "address": address }));
    Ok(ExitCode::SUCCESS)
}

/// Lists transactions, and what changes.
pub(crate) async fn list_transactions(
    wallet: &mut Wallet,
    arguments: &ListTransactionsArguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let deadline = arguments.timeout.map(|timeout| Instant::now() + timeout);
    let mut cursor = arguments
        .new
        .then(|| wallet.state().transactions_cursor.clone())
        .flatten();
    let mut complete = true;
    loop {
        let list = wallet.list_transactions(cursor.clone()).await?;
        for transaction in &list.transactions {
            let (mut text, mut value) = (describe(transaction), serde_json::to_value(transaction)?);
            if arguments.verify && transaction.depth.is_some() {
                let proven = wallet.verify_transaction(&transaction.txid).await?;
                let hash = proven.header.block_hash();
                write!(text, "\n    proven to be in block {hash}")?;
                value["proof"] = serde_json::to_value(&proven.proof)?;
            }
            output.show(&text, &value);
        }
        if complete && !list.complete {
            output.hint("The server may have missed something and is making it good.");
        }
        complete = list.complete;
        if list.cursor != cursor {
            cursor = list.cursor;
            wallet.remember_transactions(cursor.clone())?;
        }
        let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if !arguments.follow || over {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

/// A transaction and its way so far, one step a line.
fn describe(transaction: &Transaction) -> String {
    let amount = amount(transaction.received_sat, transaction.spent_sat);
    let mut lines = vec![format!(
        "{}  {amount}  {}  {}",
        transaction.txid,
        transaction.address,
        step(&transaction.status)
    )];
    if transaction.history.len() > 1 {
        for past in &transaction.history {
            lines.push(format!("    {}", step(&past.status)));
        }
    }
    lines.join("\n")
}

/// What a transaction does to an address.
pub(crate) fn amount(received_sat: u64, spent_sat: u64) -> String {
    match (received_sat, spent_sat) {
        (received, 0) => format!("+{received} sat"),
        (0, spent) => format!("-{spent} sat"),
        (received, spent) => format!("+{received} -{spent} sat"),
    }
}

/// One step, in words.
pub(crate) fn step(status: &TransactionStatus) -> String {
    match status {
        TransactionStatus::Seen => "seen in mempool".to_owned(),
        TransactionStatus::Confirmed { block } => format!("confirmed at height {}", block.height),
        TransactionStatus::DepthReached { depth, block } => {
            format!("{depth} blocks deep at height {}", block.height)
        }
        TransactionStatus::Matured { block } => {
            format!("can be spent after height {}", block.height)
        }
        TransactionStatus::Final { block } => format!("final at height {}", block.height),
        TransactionStatus::Unconfirmed { block } => {
            format!("unconfirmed: block {} was taken back", block.height)
        }
        TransactionStatus::Replaced { by, replaced_in } => {
            format!("replaced by {by} (in {replaced_in})")
        }
        TransactionStatus::Evicted => "evicted from the mempool".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use satpost_api_types::transactions::{Block, TransactionStep};

    use super::*;

    #[test]
    fn tells_the_way_of_a_transaction_through_a_reorganisation() {
        let block = Block {
            height: 101,
            hash: "00".repeat(32),
        };
        let history = [
            TransactionStatus::Seen,
            TransactionStatus::Confirmed {
                block: block.clone(),
            },
            TransactionStatus::DepthReached {
                depth: 3,
                block: Block {
                    height: 103,
                    hash: "03".repeat(32),
                },
            },
            TransactionStatus::Unconfirmed { block },
            TransactionStatus::Replaced {
                by: "bb".to_owned(),
                replaced_in: "block".to_owned(),
            },
        ];
        let transaction = Transaction {
            txid: "aa".to_owned(),
            address: "bcrt1p".to_owned(),
            received_sat: 5_000,
            spent_sat: 0,
            status: history[4].clone(),
            depth: None,
            is_final: false,
            mature: None,
            history: history
                .into_iter()
                .map(|status| TransactionStep {
                    position: "1".to_owned(),
                    at: 1,
                    status,
                })
                .collect(),
        };
        assert_eq!(
            describe(&transaction),
            "aa  +5000 sat  bcrt1p  replaced by bb (in block)\n\
             \x20   seen in mempool\n\
             \x20   confirmed at height 101\n\
             \x20   3 blocks deep at height 103\n\
             \x20   unconfirmed: block 101 was taken back\n\
             \x20   replaced by bb (in block)"
        );
    }
}
