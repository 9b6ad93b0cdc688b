//! Examines the node while the server runs: at the start, whenever the watcher finds or loses it, and
//! now and then. A finding is said once, when it is new.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntGaugeVec, Opts, Registry};
use satpost_domain::network::Network;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Code, Examination, Severity, examine};
use crate::bitcoind::NodeStatus;
use crate::bitcoind::rpc::NodeRpc;

/// How often the node is examined when nothing happens to it.
const EXAMINE_EVERY: Duration = Duration::from_secs(600);
/// How soon after one examination the next may come.
const EXAMINE_PAUSE: Duration = Duration::from_secs(5);

/// How many findings there are.
#[derive(Clone)]
pub struct DoctorMetrics {
    findings: IntGaugeVec,
}

impl DoctorMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are in the registry already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let findings = IntGaugeVec::new(
            Opts::new(
                "satpost_node_findings",
                "What should be changed about the node and its disk, by severity; satpostd doctor tells more",
            ),
            &["severity"],
        )?;
        registry.register(Box::new(findings.clone()))?;
        Ok(Self { findings })
    }

    fn show(&self, examination: &Examination) {
        for severity in Severity::ALL.into_iter().filter(|one| *one != Severity::Ok) {
            let findings = examination.findings.iter();
            let count = findings.filter(|finding| finding.severity == severity);
            let count = i64::try_from(count.count()).unwrap_or(i64::MAX);
            self.findings
                .with_label_values(&[severity.name()])
                .set(count);
        }
    }
}

/// Examines the node until `shutdown`, counts what it finds and says what is new.
pub async fn keep(
    rpc: Arc<dyn NodeRpc>,
    network: Network,
    data_dir: PathBuf,
    mut status: watch::Receiver<NodeStatus>,
    metrics: DoctorMetrics,
    shutdown: CancellationToken,
) {
    let mut known = BTreeSet::new();
    let examining = async {
        loop {
            let was_live = status.borrow_and_update().is_live();
            let examination = examine(rpc.as_ref(), network, &data_dir).await;
            tell(&examination, &mut known);
            metrics.show(&examination);
            tokio::time::sleep(EXAMINE_PAUSE).await;
            let changed = status.wait_for(|status| status.is_live() != was_live);
            // Neither a pause without changes nor the end of the watcher is a failure.
            drop(tokio::time::timeout(EXAMINE_EVERY, changed).await);
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = examining => {}
    }
}

/// Says what is new. What keeps the node from being followed says the watcher.
fn tell(examination: &Examination, known: &mut BTreeSet<Code>) {
    for finding in &examination.findings {
        if known.contains(&finding.code) || finding.severity == Severity::Unusable {
            continue;
        }
        tracing::warn!(
            node.finding = ?finding.code,
            node.severity = %finding.severity,
            node.setting = finding.setting,
            "{}",
            finding.sentence
        );
    }
    *known = examination
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect();
}
