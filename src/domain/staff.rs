//! Who works in the control room, and what they may do.

use super::ids;

/// What somebody may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but secrets and changes nothing.
    Viewer,
    /// Writes posts and looks at them before they go out.
    Editor,
    /// Releases, holds, retries, looks after partners and subscribers.
    Operator,
    /// Says who may do what.
    Owner,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Editor, Self::Operator, Self::Owner];

    /// Its name in the store, in addresses and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// Longest name of somebody, in characters.
pub const NAME_LEN_MAX: usize = 64;
/// Shortest password, in characters: long enough that an offline search of Argon2id hashes is hopeless for ordinary phrases
/// (NIST SP 800-63B asks for 8 with, 15 without a second factor; a link from the command line always works instead).
pub const PASSWORD_LEN_MIN: usize = 12;
/// Longest password, in octets, so that hashing has a bound.
pub const PASSWORD_LEN_MAX: usize = 256;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing is left of it.
    #[error("a name is missing")]
    Empty,
    /// It is too long.
    #[error("a name has {NAME_LEN_MAX} characters at most")]
    TooLong,
    /// It holds what no name holds.
    #[error("a name holds no control characters")]
    Control,
}

/// A name by which somebody signs in, as it is kept: without spaces around it.
///
/// # Errors
/// [`BadName`].
pub fn name(text: &str) -> Result<String, BadName> {
    let text = text.trim();
    match text {
        "" => Err(BadName::Empty),
        _ if text.chars().count() > NAME_LEN_MAX => Err(BadName::TooLong),
        _ if text.chars().any(char::is_control) => Err(BadName::Control),
        _ => Ok(text.to_owned()),
    }
}

/// What is kept of a secret that a browser holds (a session, a link): SHA-256 in hexadecimal. The secrets are 256 random bits,
/// so a plain hash can't be searched.
#[must_use]
pub fn secret_hash(secret: &str) -> String {
    ids::content_hash(secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_in_order_and_keep_their_names() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::ALL.into_iter().all(|role| Role::from_word(role.word()) == Some(role)));
        assert_eq!(Role::from_word("Owner"), None);
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(name("  김 주무관 "), Ok("김 주무관".to_owned()));
        assert_eq!(name(" "), Err(BadName::Empty));
        assert_eq!(name("a\nb"), Err(BadName::Control));
        assert_eq!(name(&"가".repeat(NAME_LEN_MAX + 1)), Err(BadName::TooLong));
    }
}
