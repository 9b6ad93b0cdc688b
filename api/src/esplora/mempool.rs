//! `/mempool/...`, fees, and the node's proposal for a block.

use actix_web::http::StatusCode;
use satpost_api_types::esplora::{Mempool, RecentTransaction, RecommendedFees};
use satpost_domain::limits::{ESPLORA_RECENT_MAX, ESPLORA_TXIDS_PER_PAGE};
use serde_json::json;

use super::answer::{Answer, Keep, Outcome};
use super::call::Call;
use super::error::EsploraError;
use super::ports::{Fees, MempoolTransaction, QueryError};
use super::shapes;

/// A bin of the histogram is closed when it has this many virtual bytes.
const HISTOGRAM_BIN_VSIZE: u64 = 50_000;

pub(super) async fn get_mempool(call: &mut Call) -> Outcome {
    let transactions = call.chain().mempool().await?;
    let mempool = Mempool {
        count: transactions.len(),
        vsize: transactions.iter().map(|entry| entry.vsize).sum(),
        total_fee: transactions.iter().map(|entry| entry.fee_sat).sum(),
        fee_histogram: histogram(&transactions),
    };
    Ok(Answer::json(&mempool, Keep::Short))
}

/// From the highest fee rate down: the lowest rate of each bin, and how much is in it.
fn histogram(transactions: &[MempoolTransaction]) -> Vec<(f64, u64)> {
    let rate = |entry: &MempoolTransaction| entry.fee_sat as f64 / entry.vsize.max(1) as f64;
    let mut by_rate: Vec<(f64, u64)> = transactions
        .iter()
        .map(|entry| (rate(entry), entry.vsize))
        .collect();
    by_rate.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut bins = Vec::new();
    let (mut filled, mut lowest) = (0, 0.0);
    for (rate, vsize) in by_rate {
        // Never between two of the same rate.
        if filled > HISTOGRAM_BIN_VSIZE && rate < lowest {
            bins.push((lowest, filled));
            filled = 0;
        }
        filled += vsize;
        lowest = rate;
    }
    if filled > 0 {
        bins.push((lowest, filled));
    }
    bins
}

pub(super) async fn list_mempool_txids(call: &mut Call) -> Outcome {
    let txids = txids(call).await?;
    Ok(Answer::json(&txids, Keep::Short))
}

/// By ascending txid, so that a page goes on where the one before ended whatever comes and goes.
pub(super) async fn page_mempool_txids(call: &mut Call) -> Outcome {
    let mut txids = txids(call).await?;
    txids.sort_unstable();
    let last_seen = call.part("last_seen");
    let from = txids.partition_point(|txid| txid.as_str() <= last_seen);
    let asked = call.parameter("max_txs").and_then(|text| text.parse().ok());
    let max = asked.unwrap_or(ESPLORA_TXIDS_PER_PAGE);
    let max = max.clamp(1, ESPLORA_TXIDS_PER_PAGE);
    let page: Vec<&String> = txids[from..].iter().take(max).collect();
    Ok(Answer::json(&page, Keep::Short))
}

async fn txids(call: &Call) -> Result<Vec<String>, EsploraError> {
    let mempool = call.chain().mempool().await?;
    Ok(mempool.iter().map(|entry| entry.txid.to_string()).collect())
}

pub(super) async fn list_recent(call: &mut Call) -> Outcome {
    let recent = call.chain().recent().await?;
    let recent: Vec<RecentTransaction> = recent
        .iter()
        .take(ESPLORA_RECENT_MAX)
        .map(shapes::recent)
        .collect();
    Ok(Answer::json(&recent, Keep::Recent))
}

pub(super) async fn get_fee_estimates(call: &mut Call) -> Outcome {
    let fees = call.chain().fees().await?;
    Ok(Answer::json(&fees.estimates, Keep::Short))
}

pub(super) async fn get_recommended_fees(call: &mut Call) -> Outcome {
    let fees = call.chain().fees().await?;
    Ok(Answer::json(&recommended(&fees), Keep::Short))
}

/// In whole sat/vB and never below what the node takes, nor a shorter wait for less.
fn recommended(fees: &Fees) -> RecommendedFees {
    let minimum = (fees.minimum.ceil() as u64).max(1);
    let within = |blocks: u16| {
        let estimate = fees.estimates.range(..=blocks).next_back();
        estimate.map_or(minimum, |(_, rate)| (rate.ceil() as u64).max(minimum))
    };
    let economy_fee = within(1_008).min(within(144));
    let hour_fee = within(6).max(economy_fee);
    let half_hour_fee = within(3).max(hour_fee);
    RecommendedFees {
        fastest_fee: within(1).max(half_hour_fee),
        half_hour_fee,
        hour_fee,
        economy_fee,
        minimum_fee: minimum,
    }
}

pub(super) async fn get_block_template(call: &mut Call) -> Outcome {
    if !call.state().config.mining {
        return Err(EsploraError::forbidden(
            "mining REST endpoints are disabled",
        ));
    }
    match call.chain().block_template().await {
        Ok(template) => Ok(Answer::json(&template, Keep::NoStore)),
        Err(QueryError::Refused { code, message, .. }) => {
            let error = json!({ "error": { "code": code, "message": message } });
            Ok(Answer::json(&error, Keep::NoStore).with_status(StatusCode::BAD_GATEWAY))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash as _;

    use super::*;

    fn entry(fee_sat: u64, vsize: u64) -> MempoolTransaction {
        MempoolTransaction {
            txid: Txid::all_zeros(),
            fee_sat,
            vsize,
            value_sat: 0,
        }
    }

    #[test]
    fn fills_bins_from_the_highest_rate() {
        assert!(histogram(&[]).is_empty());
        let bins = histogram(&[
            entry(30_000, 30_000),
            entry(90_000, 30_000),
            entry(60_000, 30_000),
            entry(5_000, 10_000),
        ]);
        assert_eq!(bins, [(2.0, 60_000), (0.5, 40_000)]);
    }

    #[test]
    fn recommends_no_less_for_a_shorter_wait() {
        let none = recommended(&Fees::default());
        assert_eq!((none.fastest_fee, none.minimum_fee), (1, 1));
        let fees = Fees {
            estimates: [(1, 4.2), (3, 6.0), (6, 2.1), (144, 1.0), (1_008, 0.4)].into(),
            minimum: 1.5,
        };
        let fees = recommended(&fees);
        assert_eq!(
            [
                fees.fastest_fee,
                fees.half_hour_fee,
                fees.hour_fee,
                fees.economy_fee
            ],
            [6, 6, 3, 2]
        );
    }
}
