//! One price from the quotes of many exchanges, some of which lie, hang or err.
//!
//! Pure: quotes and the time come in as arguments, so that recorded observations give the same
//! answers again. Numbers are decimals, never floats.
//!
//! # Layout
//! - [`amount`]: decimals within bounds; [`name`]: currencies and exchanges.
//! - [`candle`]: what an exchange traded within a time; [`observation`]: what a feed told, or why not.
//! - [`aggregate`](mod@aggregate): the rule from quotes to one candle.
//! - [`board`]: what is known now, in memory, with the last good answer.

pub mod aggregate;
pub mod amount;
pub mod board;
pub mod candle;
pub mod name;
pub mod observation;

pub use aggregate::{Aggregate, DropReason, Dropped, Policy, PriceBounds, aggregate};
pub use amount::{Amount, AmountError};
pub use board::{Answer, Market, PriceBoard};
pub use candle::{Candle, CandleError};
pub use name::{Currency, ExchangeId, NameError};
pub use observation::{FeedFailure, Observation, Quote};

#[cfg(test)]
mod tests;
