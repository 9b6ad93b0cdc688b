//! The ways to a phone: adapters of the port [`Notifier`](satpost_commands::ports::Notifier).
//!
//! A push says "look", never why: the wake-up is the same bytes for every cause, and a verification
//! code has the same size on the wire.

pub mod encryption;
pub mod guard;
pub mod log_only;
pub mod payload;
pub mod vapid;
pub mod web_push;

pub use guard::Guard;
pub use log_only::LogOnly;
pub use vapid::Vapid;
pub use web_push::WebPush;
