//! Who did what to what: the words of the audit. People stand here by id and keyed hash only, so that erasing somebody
//! breaks nothing.

use std::fmt;

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody in the control room, by number.
    Staff(i64),
    /// The command line, with the name of the machine's user.
    Command(String),
    /// A program with a token of this name.
    Token(String),
    /// A partner institution of this name, about itself.
    Partner(String),
    /// A subscriber of this number, about themselves.
    Subscriber(i64),
    /// allim by itself.
    Machine,
}

impl fmt::Display for Actor {
    /// As the store keeps it: `staff:7`, `command:root`, `machine`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff(id) => write!(f, "staff:{id}"),
            Self::Command(user) => write!(f, "command:{user}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Partner(name) => write!(f, "partner:{name}"),
            Self::Subscriber(id) => write!(f, "subscriber:{id}"),
            Self::Machine => f.write_str("machine"),
        }
    }
}

impl Actor {
    /// What [`Actor`]'s text says.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if text == "machine" {
            return Some(Self::Machine);
        }
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "staff" => rest.parse().ok().map(Self::Staff),
            "subscriber" => rest.parse().ok().map(Self::Subscriber),
            "command" => Some(Self::Command(rest.to_owned())),
            "token" => Some(Self::Token(rest.to_owned())),
            "partner" => Some(Self::Partner(rest.to_owned())),
            _ => None,
        }
    }
}

/// What was acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The kind of thing, in the glossary's word.
    pub kind: &'static str,
    /// Its id or name; never an address.
    pub id: String,
}

macro_rules! subjects {
    ($($kind:ident: $type:ty, $doc:literal;)*) => {
        impl Subject {
            $(#[doc = $doc] #[must_use] pub fn $kind(id: $type) -> Self { Self { kind: stringify!($kind), id: id.to_string() } })*
        }
    };
}
subjects! {
    post: &str, "A post, by our id.";
    story: &str, "A story, by its id.";
    draft: i64, "A draft of the composer, by number.";
    subscriber: i64, "A subscriber, by number.";
    delivery: &str, "A delivery, by its id.";
    edition: i64, "An edition, by number.";
    plan: &str, "A plan, by number or scope.";
    digest: &str, "A digest, by name.";
    freeze: &str, "A freeze of the calendar, by name.";
    partner: &str, "A partner institution, by name.";
    account: &str, "An account at a network, by name.";
    endpoint: i64, "A program that follows feeds, by number.";
    quarantine: &str, "A message that could not be taken in, by its id.";
    notice: i64, "A note to subscribers, by number.";
    hold: &str, "A hold, by its scope.";
    staff: i64, "Somebody in the control room, by number.";
}

impl Subject {
    /// Nothing in particular.
    #[must_use]
    pub fn none() -> Self {
        Self { kind: "none", id: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_read_as_they_were_written() {
        let actors = [
            Actor::Staff(7),
            Actor::Command("root".to_owned()),
            Actor::Token("cms".to_owned()),
            Actor::Partner("kiost".to_owned()),
            Actor::Subscriber(9),
            Actor::Machine,
        ];
        assert!(actors.iter().all(|actor| Actor::from_text(&actor.to_string()).as_ref() == Some(actor)));
        assert_eq!(Actor::from_text("staff:x"), None);
        assert_eq!(Subject::post("a1"), Subject { kind: "post", id: "a1".to_owned() });
    }
}
