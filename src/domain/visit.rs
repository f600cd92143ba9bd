//! A visit to a page, as it is remembered for a day: nobody can be found in it.

use super::mac;
use std::net::IpAddr;

/// The purpose, which is part of what is hashed.
const PURPOSE: &[u8] = b"visit";

/// A network address, a browser and a post as 64 bits that mean nothing without the key.
#[must_use]
pub fn hash(key: &str, address: IpAddr, agent: &str, post_id: &str) -> u64 {
    let address = address.to_canonical().to_string();
    let mac = mac::keyed(key, &[PURPOSE, address.as_bytes(), agent.as_bytes(), post_id.as_bytes()]);
    mac.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
