//! The list of carriers. A new one is one file and one entry here.

pub mod maildir;
pub mod smtp;
