//! Own accounts at social networks.

pub mod network;
