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
    /// Above the lines about posts that the reader had before.
    pub revised_lines: &'static str,
    /// In the subject of an issue without posts.
    pub nothing_new: &'static str,
    /// All that such an issue says.
    pub heartbeat: &'static str,
    /// Before the subject of a correction.
    pub correction_mark: &'static str,
    /// Above a post that is corrected.
    pub correction: &'static str,
    /// Before the subject of a mail that is shown to colleagues.
    pub test_mark: &'static str,
    /// Above what is shown to colleagues.
    pub test: &'static str,
    /// Link to the reader's own page.
    pub manage: &'static str,
}

const KOREAN: MailWords = MailWords {
    contents: "차례",
    web_copy: "웹에서 보기",
    shortened: "소식이 많아 일부는 줄여서 보내 드립니다. 전체 내용은 웹에서 보실 수 있습니다.",
    revised: "수정",
    revised_since: "이 소식은 발송한 뒤에 수정되었습니다. 제목을 누르시면 최신 내용을 보실 수 있습니다.",
    withdrawn: "게시한 곳에서 거두어들인 소식입니다.",
    expired: "게시 기간이 끝난 소식입니다.",
    revised_lines: "보내 드린 뒤에 수정된 소식",
    nothing_new: "새 소식 없음",
    heartbeat: "지난 호 이후로 새로 올라온 소식이 없습니다. 구독은 그대로 유지되며, 새 소식이 있으면 다음 호에 보내 드리겠습니다.",
    correction_mark: "[정정]",
    correction: "앞서 보내 드린 소식의 내용이 수정되어 다시 알려 드립니다. 아래가 수정된 내용입니다.",
    test_mark: "[시험]",
    test: "시험 삼아 보내는 메일입니다. 구독자에게는 발송되지 않았습니다.",
    manage: "구독 설정 바꾸기",
};

const ENGLISH: MailWords = MailWords {
    contents: "In this issue",
    web_copy: "Read on the web",
    shortened: "This issue is long, so parts of it are shortened. The web copy has everything.",
    revised: "updated",
    revised_since: "This post was revised after the issue. Its title leads to the newest version.",
    withdrawn: "This post was withdrawn by those who published it.",
    expired: "The time for which this post was published is over.",
    revised_lines: "Revised since we wrote to you",
    nothing_new: "nothing new",
    heartbeat: "Nothing new was published since the last issue. All is well: your subscription stands, and whatever comes next will be in the next issue.",
    correction_mark: "[Correction]",
    correction: "We wrote to you about this before. It has been corrected since; this is how it reads now.",
    test_mark: "[Test]",
    test: "This mail is a test. It was not sent to subscribers.",
    manage: "Change what you get",
};

const CHINESE: MailWords = MailWords {
    contents: "本期目录",
    web_copy: "在网页上阅读",
    shortened: "本期内容较多，部分消息已缩略。网页版包含全部内容。",
    revised: "更新",
    revised_since: "此消息在发送后已更新。点击标题可查看最新内容。",
    withdrawn: "此消息已由发布方撤回。",
    expired: "此消息的发布期限已过。",
    revised_lines: "发送后有更新的消息",
    nothing_new: "暂无新消息",
    heartbeat: "自上一期以来没有新发布的消息。一切正常：您的订阅依然有效，有新消息时将在下一期中发送给您。",
    correction_mark: "[更正]",
    correction: "此前发送给您的消息已有更正，以下为更正后的内容。",
    test_mark: "[测试]",
    test: "这是一封测试邮件，未发送给订阅者。",
    manage: "更改订阅设置",
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
