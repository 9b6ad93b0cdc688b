//! Examines a node and the disk beside it, and says what to change.
//!
//! Every finding has a stable code, so that scripts and alarms can name it, and where a line of
//! `bitcoin.conf` makes it go away, that line.

use std::fmt;
use std::path::Path;

use satpost_domain::network::Network;
use serde::Serialize;

use super::check;
use super::rpc::{NodeInfo, NodeRpc, NodeSettings, RpcError};

mod feed;
mod keeper;
#[cfg(test)]
mod tests;

pub use keeper::{DoctorMetrics, keep};

/// The oldest version that is tested with: Bitcoin Core 27.0.
const VERSION_TESTED: u64 = 270_000;
/// The first version that numbers the changes of its mempool: Bitcoin Core 0.21.
const VERSION_MIN: u64 = 210_000;
/// Six headers ahead are an ordinary moment, more are a node that has been away.
const BLOCKS_BEHIND_MAX: u32 = 6;
/// Less room than this fills up within days on a busy server.
const DISK_BYTES_LOW: u64 = 5 * 1024 * 1024 * 1024;
/// With less room than this the log stops soon.
const DISK_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// How bad it is, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing to change.
    Ok,
    /// Works; something would work better.
    Advice,
    /// Notifications can be lost. What was missed is found by asking the node all the time.
    Lossy,
    /// The node cannot be followed, or the server cannot run.
    Unusable,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Advice, Self::Lossy, Self::Unusable];

    /// Its name in output and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Lossy => "lossy",
            Self::Unusable => "unusable",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What was found, by a name that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Nobody answers at the address of the node.
    NodeUnreachable,
    /// The node answers with something else than what it is asked for.
    NodeStrange,
    /// The login is refused, or the cookie cannot be read.
    LoginRefused,
    /// The node is starting.
    NodeStarting,
    /// The node is on another network than the server.
    OtherNetwork,
    /// The node lacks what the watcher needs.
    VersionTooOld,
    /// The node is older than those that are tested with.
    VersionUntested,
    /// The node is fetching the chain.
    NodeBehind,
    /// The node does not announce changes.
    SequenceMissing,
    /// The node drops announcements of changes when many wait.
    SequenceDrops,
    /// Other topics delay the announcements of changes.
    SequenceShared,
    /// The node does not announce transactions.
    RawtxMissing,
    /// The node drops transactions when many wait.
    RawtxDrops,
    /// Blocks come over JSON-RPC.
    RestOff,
    /// The node does not tell what blocks spend.
    SpentOutputsMissing,
    /// The node forgets old blocks.
    Pruned,
    /// The node has no compact filters.
    FiltersMissing,
    /// The compact filters are behind.
    FiltersBehind,
    /// The disk of the data folder is nearly full.
    DiskLow,
    /// The disk of the data folder is full.
    DiskFull,
}

impl Code {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::NodeUnreachable
            | Self::NodeStrange
            | Self::LoginRefused
            | Self::NodeStarting
            | Self::OtherNetwork
            | Self::VersionTooOld
            | Self::NodeBehind
            | Self::DiskFull => Severity::Unusable,
            Self::SequenceMissing | Self::SequenceDrops => Severity::Lossy,
            Self::VersionUntested
            | Self::SequenceShared
            | Self::RawtxMissing
            | Self::RawtxDrops
            | Self::RestOff
            | Self::SpentOutputsMissing
            | Self::Pruned
            | Self::FiltersMissing
            | Self::FiltersBehind
            | Self::DiskLow => Severity::Advice,
        }
    }
}

/// Something that should be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub code: Code,
    /// [`Code::severity`].
    pub severity: Severity,
    /// What it means, in a sentence.
    pub sentence: String,
    /// The line for `bitcoin.conf` that makes it go away, where one does.
    pub setting: Option<String>,
}

impl Finding {
    fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            sentence: sentence.into(),
            setting: None,
        }
    }

    fn with_setting(mut self, line: impl Into<String>) -> Self {
        self.setting = Some(line.into());
        self
    }
}

/// What an examination gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examination {
    /// What the node says of itself, when it answers.
    pub node: Option<NodeInfo>,
    /// What should be changed, the worst first.
    pub findings: Vec<Finding>,
}

impl Examination {
    /// The worst of all findings.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Ok)
    }

    /// True when notifications can be lost although the node can be followed.
    #[must_use]
    pub fn feed_is_lossy(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Lossy)
    }

    fn sorted(mut self) -> Self {
        self.findings
            .sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.code));
        self
    }
}

/// Examines a node, and the disk that holds `data_dir` when it is there.
pub async fn examine(rpc: &dyn NodeRpc, network: Network, data_dir: &Path) -> Examination {
    let mut examination = Examination::default();
    examination.findings.extend(disk(data_dir));
    match examine_node(rpc, network, &mut examination.node).await {
        Ok(findings) => examination.findings.extend(findings),
        Err(error) => examination.findings.push(no_answer(&error)),
    }
    examination.sorted()
}

async fn examine_node(
    rpc: &dyn NodeRpc,
    network: Network,
    node: &mut Option<NodeInfo>,
) -> Result<Vec<Finding>, RpcError> {
    let info = node.insert(rpc.info().await?);
    if rpc.block_hash(0).await? != Some(check::genesis(network)) {
        let sentence = format!(
            "the node is on {}, the server is configured for {network}",
            info.network
        );
        return Ok(vec![Finding::new(Code::OtherNetwork, sentence)]);
    }
    let mut findings = version(info);
    findings.extend(behind(info));
    findings.extend(feed::findings(&rpc.publications().await?));
    findings.extend(settings(&rpc.settings().await?, info));
    Ok(findings)
}

fn no_answer(error: &RpcError) -> Finding {
    let code = match error {
        RpcError::Unreachable { .. } => Code::NodeUnreachable,
        RpcError::Unauthorized { .. } => Code::LoginRefused,
        RpcError::WarmingUp { .. } => Code::NodeStarting,
        RpcError::Refused { .. } | RpcError::NoBlock { .. } | RpcError::Unexpected { .. } => {
            Code::NodeStrange
        }
    };
    let finding = Finding::new(code, error.to_string());
    match code {
        Code::NodeUnreachable => finding.with_setting("server=1"),
        _ => finding,
    }
}

fn version(info: &NodeInfo) -> Vec<Finding> {
    let (code, needed) = match info.version {
        version if version < VERSION_MIN => (Code::VersionTooOld, VERSION_MIN),
        version if version < VERSION_TESTED => (Code::VersionUntested, VERSION_TESTED),
        _ => return Vec::new(),
    };
    let sentence = format!(
        "the node's version is {}; {needed} is needed, and {VERSION_TESTED} is the oldest that is tested",
        info.version
    );
    vec![Finding::new(code, sentence)]
}

fn behind(info: &NodeInfo) -> Option<Finding> {
    let behind = info.initial_download && info.headers > info.blocks + BLOCKS_BEHIND_MAX;
    behind.then(|| {
        let sentence = format!(
            "the node has {} of {} blocks and is still fetching",
            info.blocks, info.headers
        );
        Finding::new(Code::NodeBehind, sentence)
    })
}

fn settings(settings: &NodeSettings, info: &NodeInfo) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !settings.rest {
        let sentence = "the node serves no blocks over REST; reading them over JSON-RPC takes several times as long";
        findings.push(Finding::new(Code::RestOff, sentence).with_setting("rest=1"));
    } else if !settings.spent_outputs {
        let sentence = "the node does not tell what a block spends (Bitcoin Core does from version 30 on); \
             a spend is found only when its coin was seen before";
        findings.push(Finding::new(Code::SpentOutputsMissing, sentence));
    }
    if let Some(height) = settings.pruned_below {
        let sentence = format!(
            "the node has no blocks before {height}: the history of an older address is not complete, and a \
             server that was off for longer than the node remembers begins anew"
        );
        findings.push(Finding::new(Code::Pruned, sentence).with_setting("prune=0"));
    }
    match settings.filters_to {
        None => {
            let sentence = "the node has no index of compact filters; finding the history of a few addresses \
                 reads every block";
            let finding = Finding::new(Code::FiltersMissing, sentence);
            findings.push(finding.with_setting("blockfilterindex=1"));
        }
        Some(height) if height + BLOCKS_BEHIND_MAX < info.blocks => {
            let sentence = format!(
                "the node's index of compact filters is at block {height} of {}",
                info.blocks
            );
            findings.push(Finding::new(Code::FiltersBehind, sentence));
        }
        Some(_) => {}
    }
    findings
}

/// The folder may not be there yet; its disk is that of the first parent that is.
fn disk(data_dir: &Path) -> Option<Finding> {
    let absolute = std::path::absolute(data_dir).ok()?;
    let there = absolute.ancestors().find(|folder| folder.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    disk_of(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn disk_of(bytes: u64) -> Option<Finding> {
    let code = match bytes {
        bytes if bytes < DISK_BYTES_MIN => Code::DiskFull,
        bytes if bytes < DISK_BYTES_LOW => Code::DiskLow,
        _ => return None,
    };
    let sentence = format!(
        "the disk of the data folder has {} MiB left",
        bytes / (1024 * 1024)
    );
    Some(Finding::new(code, sentence))
}
