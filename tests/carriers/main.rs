//! The carriers of mail: one suite for all of them, then what is particular to SMTP.
#![allow(missing_docs, reason = "a test")]

mod postfix;
mod smtp;
mod smtp_tls;
mod suite;
#[path = "../support/mod.rs"]
mod support;
