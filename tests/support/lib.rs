//! What the tests share: real counterparts of the server, started and stopped by the test itself.

pub mod apns_service;
pub mod exchange;
pub mod faulty_store;
pub mod fcm_service;
pub mod files;
pub mod hooked_store;
pub mod http2_service;
pub mod http_server;
pub mod mortal_log;
pub mod node;
pub mod ntfy;
pub mod outbox_stage;
pub mod process;
pub mod push_receiver;
pub mod push_service;
pub mod random;
pub mod signed_request;
pub mod timing;
