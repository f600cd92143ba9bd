//! The carriers of mail: one suite for all of them, then what is particular to SMTP. The clients of social networks: likewise.
#![allow(missing_docs, reason = "a test")]

#[path = "../outside/house.rs"]
#[allow(dead_code, reason = "others use all of it")]
mod house;
#[path = "../outside/network.rs"]
#[allow(dead_code, reason = "others use all of it")]
mod network;
mod postfix;
mod smtp;
mod smtp_tls;
mod social;
mod suite;
#[path = "../support/mod.rs"]
mod support;
#[path = "../store/world.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the store's suite uses all of it")]
mod world;
