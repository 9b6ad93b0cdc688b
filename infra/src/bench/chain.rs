//! Everything about the chain in one run: searching blocks beside the `bitcoin` crate, and, when a
//! node can be started, catching up, the way of a payment to the log, full blocks and a
//! reorganisation.

use std::path::PathBuf;

use super::BenchError;
use super::bench_folder::{self, BenchFolder};
use super::report::{Report, Steps};

mod catch_up;
mod coins;
mod latency;
mod node;
mod scan;
mod server;
mod synthetic;

/// The most scripts, so that a slip of the finger does not take all memory.
const SCRIPTS_MAX: u64 = 50_000_000;

/// How much is measured, and with which node.
#[derive(Debug, Clone, clap::Args)]
pub struct ChainArguments {
    /// How many scripts are watched while blocks are searched, one number after another.
    #[arg(
        long, value_name = "COUNT", value_delimiter = ',', default_value = "1000000,10000000",
        value_parser = clap::value_parser!(u64).range(1..=SCRIPTS_MAX)
    )]
    scripts: Vec<u64>,
    /// A bitcoind to be started on loopback with its data in the folder; without it nothing is measured
    /// that needs a node.
    #[arg(long, value_name = "BITCOIND")]
    node: Option<PathBuf>,
    /// How many full blocks are made on that node; each takes about a third of a second.
    #[arg(
        long, value_name = "COUNT", default_value = "60",
        value_parser = clap::value_parser!(u64).range(2..=1_000)
    )]
    blocks: u64,
    /// How many rounds there are. Figures are medians over them.
    #[arg(
        long, value_name = "COUNT", default_value = "5",
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    rounds: u64,
    /// Few scripts, blocks and rounds: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// An empty or absent folder on the disk to be measured. It is left as it was found.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write one JSON object a line: bench, case, metric, value, unit, baseline, ratio.
    #[arg(long)]
    json: bool,
}

impl ChainArguments {
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    fn blocks(&self) -> usize {
        if self.quick { 5 } else { self.blocks as usize }
    }

    fn scripts(&self) -> Vec<usize> {
        if self.quick {
            return vec![10_000];
        }
        self.scripts.iter().map(|count| *count as usize).collect()
    }

    /// Measures. Leaves the folder as it was found.
    ///
    /// # Errors
    /// [`BenchError`]; there are no figures then.
    pub fn run(&self, default_folder: PathBuf) -> Result<Report, BenchError> {
        let folder = self.folder.clone().unwrap_or(default_folder);
        bench_folder::work_in(&folder, async |folder| self.measure(folder).await)
    }

    async fn measure(&self, folder: &mut BenchFolder) -> Result<Report, BenchError> {
        let scripts = self.scripts();
        let steps = Steps::new(scripts.len() as u64 + u64::from(self.node.is_some()) * 4);
        let mut report = Report::new("chain", self.json);
        for count in scripts {
            steps.begin(&format!("searching for {count} scripts"));
            scan::run(count, self.rounds(), &mut report)?;
            steps.done();
        }
        let Some(program) = &self.node else {
            tracing::warn!("no node is given (--node), so nothing is measured that needs one");
            return Ok(report);
        };
        steps.begin("making full blocks");
        let mut node = node::Node::start(program, &folder.fresh()?)?;
        let chain = coins::FullChain::make(&mut node, self.blocks())?;
        steps.done();
        steps.begin("catching up");
        catch_up::run(&node, &chain, self.rounds(), folder, &mut report).await?;
        steps.done();
        steps.begin("payments");
        let mut live = latency::Live::start(&node, folder).await?;
        live.payments(&mut node, chain, self.quick, &mut report)
            .await?;
        steps.done();
        steps.begin("blocks and a reorganisation");
        live.blocks(&mut node, self.quick, &mut report).await?;
        live.reorganisation(&mut node, &mut report).await?;
        steps.done();
        live.stop().await;
        Ok(report)
    }
}

/// The value below which so many of `values` are.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(last)).copied().unwrap_or(f64::NAN)
}
