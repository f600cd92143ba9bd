//! `email` over SMTP.

/// How the connection is protected (RFC 8314).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// TLS from the first byte: port 465.
    Implicit,
    /// STARTTLS, required: port 587.
    Starttls,
    /// No TLS: for a relay on this machine.
    None,
}
