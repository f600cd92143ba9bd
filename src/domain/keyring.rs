//! What a partner's deliveries are signed with, as it is kept: sealed. Several keys may sign at once, so that a key can be replaced
//! while its receiver still knows the old one alone.

use super::clock::UnixMillis;
use super::standard_webhook::Key;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Old keys that sign beside new ones, at most: each lengthens a header field.
const OLD_MAX: usize = 6;

/// The secrets of one partner.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// Keys, the newest first.
    #[serde(default)]
    pub keys: Vec<Held>,
    /// The broker, for those who are told by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<Broker>,
}

/// A key, and until when it signs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In its written form.
    pub key: String,
    /// For ever if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_at: Option<UnixMillis>,
}

/// Where a broker is, and where in it messages go.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// `amqps://user:password@host:5671/vhost`.
    pub url: String,
    /// The exchange; empty for the default one, which knows queues by the routing key.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Whether the attributes of an event stand in header fields, and the body is the post alone (CloudEvents, binary mode).
    #[serde(default)]
    pub is_binary: bool,
    /// Certificates (PEM) to trust beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Keyring {
    /// A shared secret and a key pair, so that a receiver can choose. `draws` are random and never come again.
    #[must_use]
    pub fn new(draws: [u64; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = draws;
        let keys = [Key::new_shared([a, b, c, d]), Key::new_private([e, f, g, h])];
        let held = |key: &Key| Held { key: key.reveal(), until_at: None };
        Self { keys: keys.iter().map(held).collect(), broker: None }
    }

    /// The same with new keys; those from before sign beside them until `overlap` is over.
    #[must_use]
    pub fn rotated(&self, draws: [u64; 8], now: UnixMillis, overlap: Duration) -> Self {
        let end = now.plus(overlap);
        let still = self.keys.iter().filter(|held| held.is_live(now) && !overlap.is_zero()).map(|held| Held {
            key: held.key.clone(),
            until_at: Some(held.until_at.map_or(end, |until| until.min(end))),
        });
        Self {
            keys: Self::new(draws).keys.into_iter().chain(still.take(OLD_MAX)).collect(),
            broker: self.broker.clone(),
        }
    }

    /// The keys that sign at an instant.
    #[must_use]
    pub fn live(&self, now: UnixMillis) -> Vec<Key> {
        self.keys.iter().filter(|held| held.is_live(now)).filter_map(|held| Key::parse(&held.key).ok()).collect()
    }

    /// What receivers verify with, the newest: shared secrets as they are, and the public halves of pairs.
    #[must_use]
    pub fn verifiers(&self, now: UnixMillis) -> Vec<(String, Option<UnixMillis>)> {
        let live = self.keys.iter().filter(|held| held.is_live(now));
        live.filter_map(|held| Some((Key::parse(&held.key).ok()?.verifier().reveal(), held.until_at))).collect()
    }

    /// Reads what [`Keyring::write`] wrote.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is sealed.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Held {
    fn is_live(&self, now: UnixMillis) -> bool {
        self.until_at.is_none_or(|until| now < until)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_sign_beside_new_ones_for_a_while() {
        let (now, day) = (UnixMillis(1_000_000), Duration::from_secs(86_400));
        let first = Keyring::new([1, 2, 3, 4, 5, 6, 7, 8]);
        let second = first.rotated([9, 10, 11, 12, 13, 14, 15, 16], now, day);
        assert_eq!((first.live(now).len(), second.live(now).len()), (2, 4));
        assert_eq!(second.live(now)[2..], first.live(now)[..]);
        assert_eq!(second.live(now.plus(day)), second.live(now)[..2]);
        // Another turn doesn't lengthen what was to end.
        let third = second.rotated([17, 18, 19, 20, 21, 22, 23, 24], now.plus(day / 2), day);
        assert_eq!(third.live(now.plus(day)).len(), 4);
        assert_eq!(first.rotated([9, 10, 11, 12, 13, 14, 15, 16], now, Duration::ZERO).live(now).len(), 2);
        let often = (0..20).fold(first, |ring, draw| ring.rotated([draw; 8], now, day));
        assert_eq!(often.live(now).len(), 2 + OLD_MAX, "however often somebody turns it");
        assert_eq!(Keyring::read(&third.write()), Some(third.clone()));
        assert!(third.verifiers(now).iter().all(|(key, _)| !key.starts_with("whsk_")));
        assert_eq!(format!("{third:?}"), "Keyring(***)");
    }
}
