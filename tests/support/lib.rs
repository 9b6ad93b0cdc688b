//! What the tests share: real counterparts of the server, started and stopped by the test itself.

pub mod node;
pub mod process;
pub mod push_receiver;
pub mod push_service;
