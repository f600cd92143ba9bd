//! The list of carriers. A new one is one file and one entry here.

pub mod hub_ping;
pub mod maildir;
pub mod smtp;
pub mod websub;
