//! The Esplora API over a real node.

mod agreement;
mod broadcast;
mod errors;
mod followers;
mod stage;
mod truth;
mod wallet;
mod watched;
mod websocket;
