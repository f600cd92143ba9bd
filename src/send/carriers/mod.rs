//! The list of carriers. A new one is one file and one entry here.

#[cfg(feature = "amqp")]
pub mod amqp_out;
pub mod hub_ping;
pub mod maildir;
pub mod smtp;
pub mod webhook;
pub mod websub;
