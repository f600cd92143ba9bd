//! The people who are written to, and what they asked for.

use super::clock::UnixMillis;
use super::language::Language;
use super::text::CleanText;
use std::fmt;

/// A mail address: syntax checked, domain in lower case ASCII (IDNA), local part as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(String);

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address: {0}")]
pub struct BadAddress(&'static str);

/// Longest address in octets (RFC 5321 section 4.5.3.1.3 allows 256 with the angle brackets).
pub const ADDRESS_LEN_MAX: usize = 254;

impl Address {
    /// Reads an address such as `name@example.org`.
    ///
    /// # Errors
    /// [`BadAddress`] says what is missing or not allowed; it never repeats the address.
    pub fn parse(raw: &str) -> Result<Self, BadAddress> {
        let raw = raw.trim();
        if raw.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(BadAddress("it holds white space or a control character"));
        }
        let (local, domain) = raw.rsplit_once('@').ok_or(BadAddress("the @ is missing"))?;
        if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(BadAddress("the part before the @ is empty or has a dot at the wrong place"));
        }
        if local.contains(['@', '<', '>', '(', ')', ',', ';', ':', '"', '\\', '[', ']']) {
            return Err(BadAddress("the part before the @ holds a character that needs quoting"));
        }
        let domain = ascii_domain(domain)?;
        let address = format!("{local}@{domain}");
        if address.len() > ADDRESS_LEN_MAX {
            return Err(BadAddress("it is longer than 254 octets"));
        }
        Ok(Self(address))
    }

    /// An address that [`Address::parse`] has read before, as the store keeps it. It is looked over only for what
    /// would break a line or an envelope.
    ///
    /// # Errors
    /// [`BadAddress`] when it can't have been one.
    pub fn stored(raw: &str) -> Result<Self, BadAddress> {
        let is_sound = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>');
        if !raw.chars().all(is_sound) || !raw.contains('@') {
            return Err(BadAddress("it was stored by somebody else"));
        }
        Ok(Self(raw.to_owned()))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one mailbox share: everything in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// The part after the @.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

fn ascii_domain(domain: &str) -> Result<String, BadAddress> {
    let parsed = url::Host::parse(domain).map_err(|_| BadAddress("the domain after the @ is not one"))?;
    let url::Host::Domain(name) = parsed else {
        return Err(BadAddress("an IP address stands where the domain should be"));
    };
    if name.ends_with('.') || !name.contains('.') && name != "localhost" {
        return Err(BadAddress("the domain after the @ has no top level or ends with a dot"));
    }
    Ok(name)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person who gets mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Random; says nothing about the person.
    pub id: i64,
    /// Where the mail goes.
    pub address: Address,
    /// How to greet them, if known.
    pub name: Option<CleanText>,
    /// The language they read.
    pub language: Language,
    /// Whether they want their mail as plain text alone.
    pub text_only: bool,
    /// When they left altogether.
    pub unsubscribed_at: Option<UnixMillis>,
}

/// The schedule name that stands for "as soon as it is out".
pub const IMMEDIATE: &str = "immediate";

/// A schedule, perhaps at the reader's own hour and zone: all who share one are planned by the same occurrence.
/// Its text is `digest`, or `digest 07:30 Asia/Seoul`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(String);

impl Slot {
    /// The slot of a schedule at its own hour.
    #[must_use]
    pub fn of(schedule: &str) -> Self {
        Self(schedule.to_owned())
    }

    /// The slot of a schedule at a reader's own hour and zone.
    #[must_use]
    pub fn own(schedule: &str, hour: i8, minute: i8, zone: &str) -> Self {
        Self(format!("{schedule} {hour:02}:{minute:02} {zone}"))
    }

    /// As the store keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The schedule's name.
    #[must_use]
    pub fn schedule(&self) -> &str {
        self.0.split(' ').next().unwrap_or(&self.0)
    }

    /// The reader's own hour, minute and zone.
    #[must_use]
    pub fn own_time(&self) -> Option<(i8, i8, &str)> {
        let mut parts = self.0.splitn(3, ' ').skip(1);
        let (hour, minute) = parts.next()?.split_once(':')?;
        Some((hour.parse().ok()?, minute.parse().ok()?, parts.next()?))
    }
}

impl From<String> for Slot {
    fn from(stored: String) -> Self {
        Self(stored)
    }
}
