//! What happens to transactions, live.

use std::process::ExitCode;

use satpost_api_types::transactions::TransactionChange;
use satpost_client::wallet::Wallet;
use tokio::time::{Instant, timeout_at};

use super::transactions::{amount, step};
use crate::arguments::ListenArguments;
use crate::exit;
use crate::output::Output;

/// Shows every step of the wallet's transactions, each once.
pub(crate) async fn listen(
    wallet: &mut Wallet,
    arguments: &ListenArguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let deadline = arguments.timeout.map(|timeout| Instant::now() + timeout);
    let cursor = match arguments.all {
        true => None,
        false => wallet.state().transactions_cursor.clone(),
    };
    let mut feed = wallet.listen(cursor)?;
    let mut exit_code = ExitCode::from(exit::NOTHING);
    loop {
        let next = wallet.next_change(&mut feed);
        let change = match deadline {
            None => next.await?,
            Some(deadline) => match timeout_at(deadline, next).await {
                Ok(change) => change?,
                Err(_) => return Ok(exit_code),
            },
        };
        output.show(&describe(&change), &serde_json::to_value(&change)?);
        exit_code = ExitCode::SUCCESS;
        if !arguments.all {
            // After it is shown: what is cut off here is shown again rather than never.
            wallet.remember_transactions(Some(change.step.position))?;
        }
    }
}

fn describe(change: &TransactionChange) -> String {
    format!(
        "{}  {}  {}  {}",
        change.txid,
        amount(change.received_sat, change.spent_sat),
        change.address,
        step(&change.step.status)
    )
}

#[cfg(test)]
mod tests {
    use satpost_api_types::transactions::{Block, TransactionStatus, TransactionStep};

    use super::*;

    #[test]
    fn a_change_is_one_line() {
        let change = TransactionChange {
            txid: "aa".to_owned(),
            address: "bcrt1p".to_owned(),
            received_sat: 0,
            spent_sat: 7,
            step: TransactionStep {
                position: "9".to_owned(),
                at: 1,
                status: TransactionStatus::Unconfirmed {
                    block: Block {
                        height: 101,
                        hash: "00".repeat(32),
                    },
                },
            },
        };
        assert_eq!(
            describe(&change),
            "aa  -7 sat  bcrt1p  unconfirmed: block 101 was taken back"
        );
    }
}
