//! Prices: exchanges are asked in the background, every answer is recorded, and queries read memory.
//!
//! # Layout
//! - [`plan`]: what the settings come to; [`parse`]: the shapes of the exchanges' answers.
//! - [`fetch`]: one bounded request; [`poller`]: a task for each exchange, with back-off.
//! - [`history`]: the file of observations and candles; `recorder`: writes it.
//! - [`service`]: all of it behind the port of the API; [`metrics`]: what it tells the operator.

pub mod fetch;
pub mod history;
pub mod metrics;
pub mod parse;
pub mod plan;
pub mod poller;
mod recorder;
pub mod service;

pub use history::{HistoryError, PriceHistory};
pub use plan::PricePlan;
pub use service::Prices;
