//! The fixed words of mails in Korean, English and Chinese: why one came, what is in it, where else to read it.

use super::messages;
use crate::domain::language::Language;
use serde::{Deserialize, Serialize};

/// The words of one language; the templates of mails and of their web copies see them as `mail.…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailWords {
    /// Above the list of titles of a long issue.
    pub contents: String,
    /// Link to the web copy.
    pub web_copy: String,
    /// Before what follows in an issue that is too large to show everything at length.
    pub shortened: String,
    /// Before the instant of a post's last revision.
    pub revised: String,
    /// Above a post of a web copy that was revised after the issue.
    pub revised_since: String,
    /// What stands in the place of a post that its source took back.
    pub withdrawn: String,
    /// What stands in the place of a post whose time is over.
    pub expired: String,
    /// Above the lines about posts that the reader had before.
    pub revised_lines: String,
    /// In the subject of an issue without posts.
    pub nothing_new: String,
    /// All that such an issue says.
    pub heartbeat: String,
    /// Before the subject of a correction.
    pub correction_mark: String,
    /// Above a post that is corrected.
    pub correction: String,
    /// Before the subject of a mail that is shown to colleagues.
    pub test_mark: String,
    /// Above what is shown to colleagues.
    pub test: String,
    /// Link to the reader's own page.
    pub manage: String,
}

/// The words for a reader; English where their language isn't among ours.
#[must_use]
pub fn mail_words(reader: &Language) -> &'static MailWords {
    &messages(reader).mail
}

#[cfg(test)]
mod tests {
    use crate::domain::language::Language;
    use crate::render::words::words;

    #[test]
    fn reasons_read_as_their_readers_write_them() {
        let because = |tag: &str, topics: &[&str]| words(&Language::parse(tag).unwrap()).because(topics);
        assert_eq!(because("en", &["Events"]), "You get this because you follow Events.");
        assert_eq!(because("en", &["Events", "Notices"]), "You get this because you follow Events and Notices.");
        assert_eq!(because("en", &["A", "B", "C"]), "You get this because you follow A, B and C.");
        assert_eq!(because("ko", &["행사", "공지"]), "‘행사’, ‘공지’ 주제를 구독하셔서 보내 드립니다.");
        assert_eq!(because("zh", &["活动", "通知"]), "您收到此内容，是因为您关注了“活动”、“通知”。");
    }
}
