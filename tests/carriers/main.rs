//! The carriers of mail: one suite for all of them, then what is particular to SMTP. The clients of social networks: likewise.
#![allow(missing_docs, reason = "a test")]

mod postfix;
mod smtp;
mod smtp_tls;
mod social;
mod suite;
#[path = "../support/mod.rs"]
mod support;
