//! The kinds of feeds, and what links say of them.

/// How a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// RSS 2.0.
    Rss,
    /// Atom.
    Atom,
    /// JSON Feed.
    Json,
}

impl Format {
    /// All of them, in the order in which pages offer them.
    pub const ALL: [Self; 3] = [Self::Rss, Self::Atom, Self::Json];

    /// The ending of its URL.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Rss => "rss",
            Self::Atom => "atom",
            Self::Json => "json",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rss => "RSS",
            Self::Atom => "Atom",
            Self::Json => "JSON Feed",
        }
    }

    /// Its media type, as links name it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Rss => "application/rss+xml",
            Self::Atom => "application/atom+xml",
            Self::Json => "application/feed+json",
        }
    }
}

/// A feed of whatever was published, or a calendar of the events among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Entries.
    Entries(Format),
    /// Events, as iCalendar.
    Calendar,
}

impl Kind {
    /// All of them, in the order in which pages offer them.
    pub const ALL: [Self; 4] =
        [Self::Entries(Format::Rss), Self::Entries(Format::Atom), Self::Entries(Format::Json), Self::Calendar];

    /// The ending of its URL.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Entries(format) => format.ending(),
            Self::Calendar => "ics",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Entries(format) => format.name(),
            Self::Calendar => "iCalendar",
        }
    }

    /// Its media type, as links name it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Entries(format) => format.media_type(),
            Self::Calendar => "text/calendar",
        }
    }
}
