//! `satpostd doctor`: what to change about the node and the disk before the server relies on them.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use super::serve::ServeArguments;
use super::{EXIT_CONFIG, block_on, tell_error};
use crate::bitcoind::CoreRpc;
use crate::bitcoind::doctor::{Examination, Severity, examine};
use crate::config::Config;
use crate::wiring;

/// What to examine: the same file, environment and flags as the server.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when there is nothing to change, 10 when something would work better, 20 when notifications of the node can be lost, 30 when the node cannot be followed or the disk is full, and 78 when the configuration cannot be used.\n\nThe server examines the node in the same way while it runs: see /health/ready and the metric satpost_node_findings."
)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    server: ServeArguments,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &DoctorArguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.server.load() {
        Ok(config) => config,
        Err(error) => {
            tell_error(&error.into());
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    if !config.has_node() {
        tell_error(&anyhow::anyhow!(
            "no Bitcoin node is configured, so there is nothing to examine; set node.rpc_url"
        ));
        return Ok(ExitCode::from(EXIT_CONFIG));
    }
    let examination = block_on(examined(&config))??;
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", to_json(&examination))?;
    } else {
        write_table(&examination, &mut out)?;
    }
    Ok(ExitCode::from(exit_code(examination.severity())))
}

async fn examined(config: &Config) -> anyhow::Result<Examination> {
    let node = wiring::node_config(config)?;
    let rpc = CoreRpc::new(node.rpc_url, node.rpc_auth);
    Ok(examine(&rpc, node.network, &config.data_dir).await)
}

const fn exit_code(severity: Severity) -> u8 {
    match severity {
        Severity::Ok => 0,
        Severity::Advice => 10,
        Severity::Lossy => 20,
        Severity::Unusable => 30,
    }
}

fn to_json(examination: &Examination) -> serde_json::Value {
    let node = examination.node.as_ref().map(|node| {
        json!({
            "network": node.network, "version": node.version, "subversion": node.subversion,
            "blocks": node.blocks, "headers": node.headers, "uptime_secs": node.uptime_secs,
        })
    });
    json!({
        "severity": examination.severity(), "node": node, "findings": examination.findings,
    })
}

fn write_table(examination: &Examination, out: &mut impl Write) -> io::Result<()> {
    match &examination.node {
        Some(node) => writeln!(
            out,
            "{} on {}, {} of {} blocks",
            node.subversion, node.network, node.blocks, node.headers
        )?,
        None => writeln!(out, "the node does not answer")?,
    }
    for finding in &examination.findings {
        writeln!(out, "\n{:<9} {}", finding.severity, finding.sentence)?;
        if let Some(setting) = &finding.setting {
            writeln!(out, "          in bitcoin.conf: {setting}")?;
        }
    }
    if examination.findings.is_empty() {
        writeln!(out, "\nok        nothing to change")?;
    }
    Ok(())
}
