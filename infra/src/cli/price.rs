//! `satpostd price`: what the recorded answers of the exchanges give, at any moment that is kept.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use satpost_commands::ports::Clock as _;
use satpost_domain::Timestamp;
use satpost_domain::price::{Answer, Currency, Dropped, PriceBoard};
use serde_json::{Value, json};

use super::DataFolder;
use crate::config::Config;
use crate::price::PriceHistory;
use crate::price::service::replay;
use crate::system::SystemClock;

/// What to compute.
#[derive(Debug, clap::Args)]
pub(super) struct PriceArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// The TOML file of the server; its `[price]` section says how answers are made.
    #[arg(long, env = "SATPOSTD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The moment, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MILLISECONDS")]
    at: Option<u64>,
}

/// Writes a JSON object for each currency. The server must not run: one process has the file.
pub(super) fn run(arguments: &PriceArguments) -> anyhow::Result<()> {
    let config = Config::load(arguments.config.as_deref(), &[])?;
    ensure!(
        config.price.is_on(),
        "no price feeds are configured; name the server's file with --config"
    );
    let plan = config.price.plan()?;
    let file = arguments.folder.data_dir.join("price.redb");
    ensure!(file.exists(), "{} is not there", file.display());
    let history = PriceHistory::open(&file).with_context(|| {
        let file = file.display();
        format!("{file} cannot be read; while the server runs, only it can")
    })?;
    let at = arguments.at.map(Timestamp::from_millis);
    let at = at.unwrap_or_else(|| SystemClock.now());
    let board = replay(&history, &plan, at)?;
    let mut out = io::stdout().lock();
    for currency in &plan.currencies {
        writeln!(out, "{}", told(&board, currency, at))?;
    }
    Ok(())
}

fn told(board: &PriceBoard, currency: &Currency, at: Timestamp) -> Value {
    let dropped = |entries: &[Dropped]| -> Vec<Value> {
        let entry = |entry: &Dropped| json!({ "exchange": entry.exchange.as_str(), "reason": entry.reason.name() });
        entries.iter().map(entry).collect()
    };
    match board.answer(currency, at) {
        None => json!({
            "currency": currency.as_str(),
            "at": at.as_millis(),
            "price": null,
            "dropped": dropped(&board.dropped(currency, at)),
        }),
        Some(Answer {
            candle,
            age,
            stale,
            used,
            dropped: entries,
            ..
        }) => json!({
            "currency": currency.as_str(),
            "at": at.as_millis(),
            "price": candle.close.to_string(),
            "age_secs": age.as_secs(),
            "stale": stale,
            "used": used.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "dropped": dropped(&entries),
        }),
    }
}
