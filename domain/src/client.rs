//! A client: an identity key, the messaging key it uses now, and the place where its phone is woken.

mod command;
mod decide;
mod error;
mod event;
mod state;
#[cfg(test)]
mod tests;

pub use command::ClientCommand;
pub use error::ClientError;
pub use event::{ClientEvent, PushDeathReason};
pub use state::{Client, PushState};
