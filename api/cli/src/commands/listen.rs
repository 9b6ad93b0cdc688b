//! Messages and what happens to transactions, live.

use std::process::ExitCode;
use std::time::Duration;

use satpost_api_types::transactions::TransactionChange;
use satpost_client::wallet::{Wallet, WalletError};
use tokio::time::{Instant, sleep_until};

use super::messages::show_report;
use super::transactions::{amount, step};
use crate::arguments::ListenArguments;
use crate::exit;
use crate::output::Output;

/// Something to show.
enum News {
    /// A step of a transaction.
    Change(TransactionChange),
    /// A message waits.
    Message,
}

/// Shows messages and every step of the wallet's transactions, each once.
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
    fetch(wallet, output, &mut exit_code).await?;
    let mut bell = wallet.message_bell()?;
    loop {
        // Neither future loses anything when it is dropped: what it waited for comes again.
        let news: Result<News, WalletError> = tokio::select! {
            change = wallet.next_change(&mut feed) => change.map(News::Change),
            rung = bell.ring() => rung.map(|()| News::Message),
            () = end(deadline) => return Ok(exit_code),
        };
        match news? {
            News::Change(change) => {
                output.show(&describe(&change), &serde_json::to_value(&change)?);
                exit_code = ExitCode::SUCCESS;
                if !arguments.all {
                    // After it is shown: what is cut off here is shown again rather than never.
                    wallet.remember_transactions(Some(change.step.position))?;
                }
            }
            News::Message => {
                fetch(wallet, output, &mut exit_code).await?;
                bell = wallet.message_bell()?;
            }
        }
    }
}

/// Fetches and shows what waits.
async fn fetch(
    wallet: &mut Wallet,
    output: &Output,
    exit_code: &mut ExitCode,
) -> anyhow::Result<()> {
    let report = wallet.fetch_messages(Duration::ZERO).await?;
    if !report.records.is_empty() || !report.notices.is_empty() {
        *exit_code = ExitCode::SUCCESS;
    }
    show_report(wallet, &report, output);
    Ok(())
}

/// Comes at the deadline; without one, never.
async fn end(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
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
