//! The list of carriers. A new one is one file and one entry here.
//!
//! There is none for KakaoTalk: what its public interface offers is a message to oneself or to friends who use the same program, and
//! what institutions send from a channel (Alimtalk, channel messages) goes by contract through Kakao's dealers, whose interfaces differ.
//! Whoever has such a dealer is served by a partner's webhook.

use crate::guard::Guard;
use crate::send::social::network::Network;
use crate::send::social::terms::{Terms, Wrong};
use std::sync::Arc;

/// A network that knows our program by nothing.
macro_rules! no_client_secret {
    ($settings:ty) => {
        impl $settings {
            pub(super) fn set_client_secret(&mut self, _: String) {}
        }
    };
}

/// A network that knows our program by a secret, which is never shown.
macro_rules! hidden_secret {
    ($settings:ty) => {
        impl $settings {
            pub(super) fn set_client_secret(&mut self, secret: String) {
                self.client_secret = Some(secret);
            }
        }

        impl std::fmt::Debug for $settings {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($settings), "(***)"))
            }
        }
    };
}

#[cfg(feature = "amqp")]
pub mod amqp_out;
pub mod bluesky;
pub mod chat_webhook;
pub mod delicious;
pub mod facebook;
pub mod hub_ping;
pub mod line;
pub mod linkedin;
pub mod maildir;
pub mod mastodon;
pub mod matrix;
pub mod ntfy;
pub mod smtp;
pub mod telegram;
pub mod threads;
pub mod webhook;
pub mod websub;
pub mod x;

/// The networks that accounts can be at, by the name that the configuration calls them.
macro_rules! networks {
    ($($word:literal => $module:ident :: $network:ident),+ $(,)?) => {
        /// What is particular to the account of each network.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "each is what its own file says")]
        pub enum Settings { $($network($module::Settings)),+ }

        /// Their names.
        pub const NETWORKS: &[&str] = &[$($word),+];

        impl Settings {
            /// Reads what is said of an account at this network.
            ///
            /// # Errors
            /// What is wrong with it, by its key.
            pub fn read(network: &str, terms: &Terms) -> Result<Self, Wrong> {
                match network {
                    $($word => $module::Settings::read(terms).map(Self::$network),)+
                    _ => Err(Wrong::new("network", format!("write one of {}", NETWORKS.join(", ")))),
                }
            }

            /// The carrier's name in the ledger, which is the network's.
            #[must_use]
            pub fn carrier(&self) -> &'static str {
                match self { $(Self::$network(_) => $word),+ }
            }

            /// Gives our program's secret, which lies in a file of its own.
            pub fn set_client_secret(&mut self, secret: String) {
                match self { $(Self::$network(settings) => settings.set_client_secret(secret)),+ }
            }

            /// The client of the account.
            #[must_use]
            pub fn network(self, guard: Guard) -> Arc<dyn Network> {
                match self { $(Self::$network(settings) => Arc::new($module::$network::new(settings, guard))),+ }
            }
        }
    };
}

networks! {
    "mastodon" => mastodon::Mastodon,
    "bluesky" => bluesky::Bluesky,
    "x" => x::X,
    "facebook" => facebook::Facebook,
    "telegram" => telegram::Telegram,
    "matrix" => matrix::Matrix,
    "chat_webhook" => chat_webhook::ChatWebhook,
    "delicious" => delicious::Delicious,
    "linkedin" => linkedin::LinkedIn,
    "threads" => threads::Threads,
    "line" => line::Line,
    "ntfy" => ntfy::Ntfy,
}
