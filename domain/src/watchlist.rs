//! A watch list: the scripts one client wants to hear about, each with what it wants to hear.

mod birthday;
mod command;
mod decide;
mod error;
mod event;
mod options;
mod state;
mod target;
#[cfg(test)]
mod tests;

pub use birthday::{Birthday, BirthdayError};
pub use command::{NewWatch, WatchBounds, WatchlistCommand};
pub use error::WatchlistError;
pub use event::WatchlistEvent;
pub use options::{WatchOptions, WatchWish};
pub use state::Watchlist;
pub use target::WatchTarget;
