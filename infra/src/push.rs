//! The ways to a phone: adapters of the port [`Notifier`](satpost_commands::ports::Notifier).
//!
//! A push says "look", never why: the wake-up is the same bytes for every cause, and a verification
//! code has the same size on the wire.

pub mod apns;
pub mod encryption;
pub mod fcm;
pub mod guard;
pub mod http;
mod jwt;
pub mod log_only;
pub mod metrics;
pub mod payload;
pub mod services;
pub mod vapid;
pub mod web_push;

pub use apns::{Apns, ApnsKey};
pub use fcm::{Fcm, ServiceAccount};
pub use guard::Guard;
pub use log_only::LogOnly;
pub use services::PushServices;
pub use vapid::Vapid;
pub use web_push::WebPush;
