//! Transactions to the node: one, a package, or a trial.

use bitcoin::hex::FromHex as _;
use satpost_domain::limits::ESPLORA_PACKAGE_MAX;

use super::answer::{Answer, Keep, Outcome};
use super::call::Call;
use super::error::EsploraError;

/// How long a transaction of a package is in hexadecimal: 60 bytes to the standard 400,000 weight units.
const HEX_LENGTH: std::ops::Range<usize> = 120..800_000;

pub(super) async fn broadcast_transaction(call: &mut Call) -> Outcome {
    let hex = call.body().await?;
    broadcast(call, hex).await
}

/// The way of the first clients, kept because some still use it.
pub(super) async fn broadcast_from_query(call: &mut Call) -> Outcome {
    let hex = call.parameter("tx");
    broadcast(call, hex.ok_or_else(|| EsploraError::bad("Missing tx"))?).await
}

async fn broadcast(call: &Call, hex: String) -> Outcome {
    let txid = call.chain().broadcast(hex.trim().to_owned()).await?;
    Ok(Answer::text(txid.to_string(), Keep::Not))
}

pub(super) async fn submit_package(call: &mut Call) -> Outcome {
    let transactions = transactions(call).await?;
    let max_fee_rate = call.rate("maxfeerate")?;
    let max_burn = call.rate("maxburnamount")?;
    let result = call
        .chain()
        .submit_package(transactions, max_fee_rate, max_burn)
        .await?;
    Ok(Answer::json(&result, Keep::Not))
}

pub(super) async fn test_transactions(call: &mut Call) -> Outcome {
    let transactions = transactions(call).await?;
    let max_fee_rate = call.rate("maxfeerate")?;
    let result = call.chain().test_accept(transactions, max_fee_rate).await?;
    Ok(Answer::json(&result, Keep::Not))
}

/// The list in the body. What the node would refuse for its form alone is not sent to it.
async fn transactions(call: &mut Call) -> Result<Vec<String>, EsploraError> {
    let transactions = call.list().await?;
    if transactions.len() > ESPLORA_PACKAGE_MAX {
        return Err(EsploraError::bad(format!(
            "Exceeded maximum of {ESPLORA_PACKAGE_MAX} transactions"
        )));
    }
    for (index, hex) in transactions.iter().enumerate() {
        if !HEX_LENGTH.contains(&hex.len()) {
            return Err(EsploraError::bad(format!(
                "Invalid transaction size for item {index}"
            )));
        }
        if Vec::<u8>::from_hex(hex).is_err() {
            return Err(EsploraError::bad(format!(
                "Invalid transaction hex for item {index}"
            )));
        }
    }
    Ok(transactions)
}
