//! One file per thing a caller can ask Satpost to do, and the one handler behind them all.
//!
//! # Layout
//! - [`handler`]: load, decide, append, retry on conflict; the only place that does it.
//! - [`ports`]: what the commands need from outside: log, payloads, clock, ids, notifier.
//! - [`error`]: the closed set of ways a command can fail.
//! - the other modules: one command each, named like the operation everywhere else.
//! - [`processes`]: process managers, which turn events into further commands.
//! - `testing`: doubles of the ports; only with the feature of that name.

pub mod acknowledge_messages;
pub mod add_delivery_tokens;
pub mod error;
pub mod handler;
pub mod import_addresses;
pub mod park_messages;
pub mod ports;
pub mod processes;
pub mod record_chain;
pub mod record_push;
pub mod register_client;
pub mod remove_push_target;
pub mod retire_client;
pub mod revoke_delivery_tokens;
pub mod rotate_messaging_key;
pub mod send_message;
pub mod set_push_target;
pub mod set_stranger_policy;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod unwatch_addresses;
pub mod verify_push_target;
pub mod watch_addresses;
pub mod wipe_queue;

pub use error::CommandError;
pub use handler::{CommandContext, Handler, Outcome};
