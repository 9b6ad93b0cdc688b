//! The adapters behind the Esplora API: an index of every script of the node's chain, or what the
//! watcher knows of watched scripts. Bodies come from the node in both.
//!
//! # Layout
//! - [`node`]: what is asked of the node; [`bodies`]: transactions with what they spend, remembered.
//! - [`index`]: every script, transaction and spend of the best chain in one file, and the mempool.
//! - [`all_scripts`], [`watched`]: the two adapters of [`ChainQuery`].
//! - `serve`: puts them together for `satpostd`.
//!
//! [`ChainQuery`]: satpost_api::esplora::ChainQuery

pub mod all_scripts;
pub mod bodies;
pub mod index;
pub mod node;
mod serve;
pub mod watched;

pub use all_scripts::AllScripts;
pub use node::EsploraNode;
pub(crate) use serve::{Esplora, open, serve};
pub use watched::WatchedScriptsChain;
