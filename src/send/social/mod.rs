//! Own accounts at social networks.

pub mod graph;
pub mod login;
pub mod network;
pub mod oauth;
pub mod terms;
pub mod wire;
