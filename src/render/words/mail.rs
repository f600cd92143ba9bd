//! The fixed words of mails in Korean, English and Chinese: why one came, what is in it, where else to read it.

use super::{Tongue, Words};
use crate::domain::language::Language;
use serde::Serialize;

/// The words of one language; the templates of mails and of their web copies see them as `mail.…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MailWords {
    /// Above the list of titles of a long issue.
    pub contents: &'static str,
    /// Link to the web copy.
    pub web_copy: &'static str,
    /// Before what follows in an issue that is too large to show everything at length.
    pub shortened: &'static str,
    /// Before the instant of a post's last revision.
    pub revised: &'static str,
    /// Above a post of a web copy that was revised after the issue.
    pub revised_since: &'static str,
    /// What stands in the place of a post that its source took back.
    pub withdrawn: &'static str,
    /// What stands in the place of a post whose time is over.
    pub expired: &'static str,
}

const KOREAN: MailWords = MailWords {
    contents: "차례",
    web_copy: "웹에서 보기",
    shortened: "소식이 많아 일부는 줄여서 보내 드립니다. 전체 내용은 웹에서 보실 수 있습니다.",
    revised: "수정",
    revised_since: "이 소식은 발송한 뒤에 수정되었습니다. 제목을 누르시면 최신 내용을 보실 수 있습니다.",
    withdrawn: "게시한 곳에서 거두어들인 소식입니다.",
    expired: "게시 기간이 끝난 소식입니다.",
};

const ENGLISH: MailWords = MailWords {
    contents: "In this issue",
    web_copy: "Read on the web",
    shortened: "This issue is long, so parts of it are shortened. The web copy has everything.",
    revised: "updated",
    revised_since: "This post was revised after the issue. Its title leads to the newest version.",
    withdrawn: "This post was withdrawn by those who published it.",
    expired: "The time for which this post was published is over.",
};

const CHINESE: MailWords = MailWords {
    contents: "本期目录",
    web_copy: "在网页上阅读",
    shortened: "本期内容较多，部分消息已缩略。网页版包含全部内容。",
    revised: "更新",
    revised_since: "此消息在发送后已更新。点击标题可查看最新内容。",
    withdrawn: "此消息已由发布方撤回。",
    expired: "此消息的发布期限已过。",
};

/// The words for a reader; English where their language isn't among ours.
#[must_use]
pub fn mail_words(reader: &Language) -> &'static MailWords {
    match reader.base() {
        "ko" => &KOREAN,
        "zh" => &CHINESE,
        _ => &ENGLISH,
    }
}

impl Words {
    /// Why a mail or one of its posts came: the titles of the reader's topics that brought it, as
    /// `because you follow Events, Notices and Research`.
    #[must_use]
    pub fn because(&self, topics: &[&str]) -> String {
        let quoted = |before: &str, after: &str, between: &str| {
            let each = topics.iter().map(|topic| format!("{before}{topic}{after}"));
            each.collect::<Vec<_>>().join(between)
        };
        match self.tongue {
            Tongue::Korean => format!("{} 주제를 구독하셔서 보내 드립니다.", quoted("‘", "’", ", ")),
            Tongue::English => format!("You get this because you follow {}.", english_list(topics)),
            Tongue::Chinese => format!("您收到此内容，是因为您关注了{}。", quoted("“", "”", "、")),
        }
    }
}

fn english_list(topics: &[&str]) -> String {
    match topics {
        [all @ .., one, last] if !all.is_empty() => format!("{}, {one} and {last}", all.join(", ")),
        [one, last] => format!("{one} and {last}"),
        few => few.concat(),
    }
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
