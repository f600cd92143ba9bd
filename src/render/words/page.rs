//! The fixed words of pages in Korean, English and Chinese.

use super::messages;
use crate::domain::language::Language;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The words of one language; page templates see them as `page.…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the words say it themselves")]
pub struct PageWords {
    pub about: String,
    pub by_mail: String,
    pub held: String,
    pub home: String,
    pub topics: String,
    pub feeds: String,
    pub feeds_why: String,
    pub no_feed: String,
    pub no_feed_why: String,
    pub all_topics: String,
    pub all_languages: String,
    pub newest: String,
    pub older: String,
    pub nothing_yet: String,
    pub updated: String,
    pub also_in: String,
    pub path: String,
    pub published: String,
    pub views: String,
    pub file: String,
    pub share: String,
    pub copy: String,
    pub server: String,
    pub server_why: String,
    pub server_go: String,
    pub server_to: String,
    pub bad_server: String,
    pub back: String,
    pub search: String,
    pub search_words: String,
    pub none_found: String,
    pub none_so_far: String,
    pub events: String,
    pub months: String,
    pub month_before: String,
    pub month_after: String,
    pub no_events: String,
    pub issues: String,
    pub issues_why: String,
    pub all_issues: String,
    pub older_issues: String,
    pub no_issues: String,
    pub issue_shorter: String,
    pub issue_longer: String,
    pub skip: String,
    pub ways: String,
    pub every_feed: String,
    pub kind: String,
    pub size: String,
    pub languages: String,
    pub now: String,
    pub now_note: String,
    pub next_issue: String,
    pub none_planned: String,
    pub deliveries: String,
    pub state: String,
    pub count: String,
    pub newest_mails: String,
    pub no_mails: String,
    pub immediate: String,
    pub subject: String,
    pub from: String,
    pub to: String,
    pub date: String,
    pub plain_text: String,
    pub as_shown: String,
    pub source: String,
    pub not_found: String,
    pub not_found_why: String,
    pub withdrawn: String,
    pub withdrawn_why: String,
    pub expired: String,
    pub expired_why: String,
    pub unavailable: String,
    pub unavailable_why: String,
    pub leave: String,
    pub leave_why: String,
    pub leave_button: String,
    pub left: String,
    pub left_why: String,
    pub left_before: String,
    pub bad_link: String,
    pub bad_link_why: String,
    states: BTreeMap<String, String>,
}

/// The languages that pages have words in.
pub const TAGS: [&str; 3] = ["ko", "en", "zh"];

/// The words for a reader; English where their language isn't among ours.
#[must_use]
pub fn page_words(reader: &Language) -> &'static PageWords {
    &messages(reader).page
}

/// A language's own name for itself, as those who look for it read it.
#[must_use]
pub fn own_name(language: &Language) -> &str {
    match language.base() {
        "ko" => "한국어",
        "en" => "English",
        "zh" => "中文",
        "ja" => "日本語",
        _ => language.as_str(),
    }
}

impl PageWords {
    /// A delivery's state for people.
    #[must_use]
    pub fn delivery_state<'a>(&'a self, word: &'a str) -> &'a str {
        self.states.get(word).map_or(word, String::as_str)
    }
}
