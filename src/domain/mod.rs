//! Ground floor: values and rules. No async, no I/O, no reading of the clock; imports nothing of ours.

pub mod address_hash;
pub mod allim_path;
pub mod audience;
pub mod backoff;
pub mod breaker;
pub mod clock;
pub mod delivery;
pub mod destination;
pub mod edition;
pub mod feed;
pub mod ids;
pub mod inbound;
pub mod language;
mod mac;
pub mod post;
pub mod public_address;
pub mod quiet;
pub mod reply;
pub mod schedule;
pub mod seal;
pub mod standard_webhook;
pub mod text;
pub mod token;
pub mod verp;
pub mod visit;
pub mod web_copy;
