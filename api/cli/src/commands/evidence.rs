//! What servers broke.

use std::process::ExitCode;

use satpost_client::evidence::Evidence;
use satpost_client::wallet::Wallet;
use serde_json::json;

use crate::exit;
use crate::output::Output;

/// Shows the evidence that the wallet keeps, and where it lies.
pub(crate) fn show_evidence(wallet: &Wallet, output: &Output) -> anyhow::Result<ExitCode> {
    let all = wallet.evidence()?;
    for (path, evidence) in &all {
        output.show(
            &format!(
                "{}\n  {}\n  {}",
                path.display(),
                evidence.fault,
                weight(evidence)
            ),
            &json!({
                "file": path.display().to_string(),
                "contradiction": evidence.contradiction().map(|(one, two)| [one, two]),
                "evidence": evidence,
            }),
        );
    }
    Ok(match all.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::NOT_VERIFIED),
    })
}

/// How much it proves to others.
fn weight(evidence: &Evidence) -> String {
    match evidence.contradiction() {
        Some((one, _)) => format!(
            "proof: the server signed two different pasts at message {}",
            one.seq
        ),
        None => "the server signed no contradiction; another installation with the same words may be the cause".to_owned(),
    }
}
