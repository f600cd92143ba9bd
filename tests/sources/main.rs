//! Posts from partners: their feeds, their signed webhooks, and what sources are told.
#![allow(missing_docs, reason = "a test")]

mod exchange;
mod feeds;
mod house;
mod receipts;
mod server;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "this binary uses a part of it")]
#[path = "../store/world.rs"]
mod world;
