//! The Esplora HTTP API, as third-party wallets and libraries speak it: unsigned, plain-text errors,
//! its own shapes. It stands beside the API of Satpost, not in it.
//!
//! # Layout
//! - [`ports`]: what is asked of the chain; [`state`]: settings and what every request sees.
//! - `routes`: the table of endpoints; `call`: a request and its parts; `answer`: content types,
//!   caching, tags; `error`: statuses and texts; `observe`: limits, metrics, the log.
//! - `transactions`, `blocks`, `scripts`, `mempool`, `broadcast`: the endpoints.
//! - `shapes`, `script_text`, `proofs`: from Bitcoin's types to what clients read.
//! - `websocket`: the subset of mempool.space's WebSocket.
//! - [`listener`]: the API on a port of its own.

mod answer;
mod blocks;
mod broadcast;
mod call;
mod error;
pub mod listener;
mod mempool;
mod observe;
pub mod ports;
mod proofs;
mod routes;
mod script_text;
mod scripts;
mod shapes;
pub mod state;
mod transactions;
mod websocket;

pub(crate) use error::EsploraError;
pub(crate) use routes::{PUBLIC_PREFIX, configure_public, operation_name};

pub use listener::run;
pub use ports::ChainQuery;
pub use routes::endpoints;
pub use state::{EsploraConfig, EsploraState};
