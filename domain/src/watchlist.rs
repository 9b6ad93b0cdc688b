//! A watch list: the scripts one client wants to hear about.

mod command;
mod decide;
mod error;
mod event;
mod state;
#[cfg(test)]
mod tests;

pub use command::WatchlistCommand;
pub use error::WatchlistError;
pub use event::WatchlistEvent;
pub use state::Watchlist;
