//! The HTTP API of Satpost: who asks, what is asked, and how it is answered.
//!
//! # Layout
//! - [`server`]: listeners, limits of connections, graceful stop; [`config`] and [`ports`]: what it
//!   is given; [`state`]: what every request sees.
//! - [`routes`]: one table of operations and their handlers, each named like its command or query.
//! - `extract`: request to arguments (body, signature, subject); `signature`: the strict RFC 9421 verifier.
//! - `delivery`: the one way of every message that is sent, and how refusals keep what they know.
//! - `events`: the stream of changes; `fetch`: the wait for messages.
//! - `problem`: every error of every layer to one stable code; `observe`: request ids, logs, metrics.
//! - [`esplora`]: the API that other Bitcoin wallets speak, beside ours.
//! - [`price_query`]: the port of prices; `spotbit`: the interface of SpotBit over it.
//! - [`openapi`]: the description that is generated from all of this.

mod address;
pub mod config;
mod delivery;
pub mod esplora;
mod events;
mod extract;
mod fetch;
mod import;
pub mod metrics;
mod observe;
pub mod openapi;
pub mod ports;
pub mod price_query;
mod problem;
mod rate_limit;
mod receipts;
mod respond;
pub mod routes;
pub mod server;
mod signature;
mod spotbit;
pub mod state;
mod unread_body;

pub use config::{ApiConfig, PushCredentials, Rate, RateLimits};
pub use ports::ApiPorts;
pub use server::{Listeners, run};
pub use state::ApiState;
