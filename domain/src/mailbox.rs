//! A mailbox: the first-in-first-out queue of one messaging key.
//!
//! Every accepted message gets the next `seq` and extends a hash chain; every accepted message
//! ends acknowledged or gone, exactly once. Those its owner gave a token may write; strangers, as
//! its owner allows.

mod admission;
mod chain_hash;
mod command;
mod decide;
mod error;
mod event;
mod state;
#[cfg(test)]
mod tests;
mod work;

pub use admission::{DeliveryToken, Introduction, StrangerPolicy, TokenUse, token_hash};
pub use chain_hash::{chain_start, extend_chain};
pub use command::MailboxCommand;
pub use error::MailboxError;
pub use event::{GoneReason, MailboxEvent, ParkReason, SizeBucket};
pub use state::{Forward, Mailbox};
pub use work::{ParseWorkError, WorkProof, WorkSubject};
