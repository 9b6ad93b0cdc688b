//! The HTTP API of Satpost: who asks, what is asked, and how it is answered.
//!
//! # Layout
//! - [`server`]: listeners, limits of connections, graceful stop; [`config`] and [`ports`]: what it
//!   is given; [`state`]: what every request sees.
//! - [`routes`]: one table of operations and their handlers, each named like its command or query.
//! - `extract`: request to arguments (body, signature, subject); `signature`: the strict RFC 9421 verifier.
//! - `delivery`: the one way of every message that is sent, and how refusals keep what they know.
//! - `event_source`: Server-Sent Events; `events`: the stream of changes; `live`: messages as they come;
//!   `fetch`: the wait for messages.
//! - `connections`, `rate_limit`: how many and how often; `form`: JSON or CBOR.
//! - `problem`: every error of every layer to one stable code; `observe`: request ids, logs, metrics.
//! - [`esplora`]: the API that other Bitcoin wallets speak, beside ours.
//! - [`price_query`]: the port of prices; `spotbit`: the interface of SpotBit over it.
//! - [`openapi`]: the description that is generated from all of this.

mod acknowledge;
mod address;
pub mod config;
mod connections;
mod delivery;
pub mod esplora;
mod event_source;
mod events;
mod extract;
mod fetch;
mod form;
mod import;
mod live;
pub mod metrics;
mod observe;
pub mod openapi;
pub mod ports;
pub mod price_query;
mod problem;
mod queue_page;
mod rate_limit;
mod receipts;
mod respond;
pub mod routes;
pub mod server;
mod signature;
mod spotbit;
pub mod state;
mod unread_body;

pub use config::{ApiConfig, ConnectionLimits, LiveConfig, PushCredentials, Rate, RateLimits};
pub use ports::ApiPorts;
pub use server::{Listeners, run};
pub use state::ApiState;
