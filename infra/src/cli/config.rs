//! `satpostd config`: what the server would use, and what there is to configure.

use std::io::Write as _;
use std::path::PathBuf;

use crate::config::{Config, reference};

/// What to show.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigTool {
    /// Show the configuration as the server would use it, after checking it.
    Show {
        /// A TOML file.
        #[arg(long, env = "SATPOSTD_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show every key with its default and its meaning, as Markdown.
    Reference,
}

pub(super) fn run(tool: &ConfigTool) -> anyhow::Result<()> {
    let page = match tool {
        ConfigTool::Show { config } => {
            toml::to_string_pretty(&Config::load(config.as_deref(), &[])?)?
        }
        ConfigTool::Reference => reference(),
    };
    std::io::stdout().lock().write_all(page.as_bytes())?;
    Ok(())
}
