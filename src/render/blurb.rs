//! What is said of a post at a social network: a text that fits, and what a network can show beside it.

use super::fit::{Hashtags, Limit, Span};
use serde::{Deserialize, Serialize};

/// What a network takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// How long a text may be.
    pub limits: Vec<Limit>,
    /// What it makes hashtags of.
    pub hashtags: Hashtags,
    /// Hashtags at most.
    pub tags_max: usize,
    /// Whether the address stands in the text; else it travels beside it.
    pub url_in_text: bool,
    /// Whether the title stands in the text; else it travels beside it.
    pub title_in_text: bool,
}

/// What is said of one post by one account. It is kept, so that a repeat says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blurb {
    /// The text.
    pub text: String,
    /// Address and hashtags in it, in octets of UTF-8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Hashtags without their sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The whole title.
    pub title: String,
    /// The summary as the link's card shows it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The language of the text (BCP 47).
    pub language: String,
    /// The post's first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Picture>,
}

/// A picture of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Where it is.
    pub url: String,
    /// What it shows, for those who can't see it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alt: String,
}
