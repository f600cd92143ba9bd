//! Promises in words, in the languages of the control room.

use super::{Kind, Said, State};
use std::time::Duration;

/// One promise in English, Korean and Chinese: its name, what is said when it is kept, what was found else, what to do.
struct Words {
    name: [&'static str; 3],
    kept: [&'static str; 3],
    found: [&'static str; 3],
    fix: [&'static str; 3],
}

const OWED: Words = Words {
    name: ["What is due goes out", "보낼 것은 제때 나갑니다", "到期的会发出"],
    kept: ["nothing waits too long", "오래 기다리는 것이 없습니다", "没有等待过久的"],
    found: ["a delivery for {0} has been due for {1}", "{0} 발송 하나가 {1}째 기다립니다", "发往 {0} 的投递已等待 {1}"],
    fix: [
        "see with `allim delivery list` why it waits, and with `allim check` whether its relay answers",
        "`allim delivery list`로 이유를, `allim check`로 릴레이가 응답하는지 확인하세요",
        "用 `allim delivery list` 查看原因,用 `allim check` 查看中继是否应答",
    ],
};
const FIRED: Words = Words {
    name: ["Digests fire at their time", "소식지는 제시간에 시작됩니다", "摘要按时开始"],
    kept: ["none is behind", "늦은 것이 없습니다", "没有延迟的"],
    found: ["the digest `{0}` is {1} behind", "소식지 `{0}`이(가) {1} 늦었습니다", "摘要 `{0}` 晚了 {1}"],
    fix: [
        "see that a daemon with the role `plan` runs, and what its log says",
        "`plan` 역할의 데몬이 도는지, 로그에 무엇이 있는지 확인하세요",
        "确认有 `plan` 角色的守护进程在运行,并查看其日志",
    ],
};
const ISSUED: Words = Words {
    name: ["No issue is skipped", "거르는 호가 없습니다", "不漏发任何一期"],
    kept: ["none was skipped in the last day", "지난 하루 거른 호가 없습니다", "过去一天没有漏发"],
    found: [
        "{1} issues of `{0}` were skipped in the last day, later than max_late",
        "지난 하루 `{0}`의 {1}개 호를 걸렀습니다 (max_late보다 늦음)",
        "过去一天 `{0}` 漏发了 {1} 期(晚于 max_late)",
    ],
    fix: [
        "its posts come with the next issue; `allim digest now` sends one now",
        "글은 다음 호에 실립니다. `allim digest now`으로 지금 보낼 수 있습니다",
        "文章会随下一期发出;`allim digest now` 可立即发送",
    ],
};
const PLANNED: Words = Words {
    name: ["What fired is planned", "시작된 것은 계획됩니다", "已开始的会排定"],
    kept: ["nothing is stuck", "멈춘 것이 없습니다", "没有停滞"],
    found: ["an issue has been in planning for {0}", "한 호가 {0}째 계획 중입니다", "有一期已排定了 {0}"],
    fix: [
        "see the log of the daemon with the role `plan`",
        "`plan` 역할의 데몬 로그를 확인하세요",
        "查看 `plan` 角色守护进程的日志",
    ],
};
const CERTAIN: Words = Words {
    name: ["It is known what went out", "나간 것은 확실합니다", "发出与否是明确的"],
    kept: ["no delivery is uncertain", "불확실한 발송이 없습니다", "没有不确定的投递"],
    found: ["{0} deliveries are uncertain", "발송 {0}건이 불확실합니다", "{0} 个投递不确定"],
    fix: [
        "they are settled as send.uncertain says; `allim delivery list --state uncertain` shows them",
        "send.uncertain에 따라 처리됩니다. `allim delivery list --state uncertain`으로 볼 수 있습니다",
        "将按 send.uncertain 处理;`allim delivery list --state uncertain` 可查看",
    ],
};
const HEARD: Words = Words {
    name: ["The source `{0}` posts", "출처 `{0}`에서 글이 옵니다", "来源 `{0}` 有文章"],
    kept: ["its last post came {1} ago", "마지막 글은 {1} 전에 왔습니다", "最后一篇在 {1} 前"],
    found: ["nothing has come for {1}", "{1}째 아무것도 오지 않았습니다", "已有 {1} 没有任何文章"],
    fix: [
        "see that it publishes; `allim quarantine list` shows what could not be read; if it may be quiet, raise its quiet_max",
        "출처가 발행하는지, `allim quarantine list`에 못 읽은 것이 있는지 확인하세요. 조용해도 되면 quiet_max를 늘리세요",
        "确认来源在发布;`allim quarantine list` 显示无法读取的;如可安静,请调高 quiet_max",
    ],
};
const FREE: Words = Words {
    name: ["Nothing is held", "멈춘 발송이 없습니다", "没有暂停的发送"],
    kept: ["no hold is on", "보류가 없습니다", "没有暂停"],
    found: ["`{0}` has been held for {1}", "`{0}`이(가) {1}째 보류 중입니다", "`{0}` 已暂停 {1}"],
    fix: [
        "`allim hold` says why; `allim hold off` lets it go on",
        "`allim hold`로 이유를 보고 `allim hold off`로 풉니다",
        "`allim hold` 说明原因;`allim hold off` 恢复发送",
    ],
};
const SURE: Words = Words {
    name: ["The database is what it was", "데이터베이스는 그대로입니다", "数据库未变"],
    kept: ["there is no doubt", "의심할 것이 없습니다", "没有疑问"],
    found: [
        "it may have been restored, cloned or moved: nothing is sent",
        "복원·복제·이동된 듯합니다. 아무것도 보내지 않습니다",
        "可能被恢复、克隆或移动:不发送任何内容",
    ],
    fix: [
        "`allim hold off --sent-until TIME` or `--resend`; see docs/operating.md",
        "`allim hold off --sent-until 시각` 또는 `--resend`. docs/operating.md를 보세요",
        "`allim hold off --sent-until 时间` 或 `--resend`;见 docs/operating.md",
    ],
};

/// The promise in the language.
pub(super) fn say(kind: &Kind, state: State, language: &str) -> Said {
    let tongue = if language.starts_with("ko") {
        1
    } else if language.starts_with("zh") {
        2
    } else {
        0
    };
    let span = |age: Duration| span(age, tongue);
    let (words, values) = match kind {
        Kind::Owed(None) => (OWED, [String::new(), String::new()]),
        Kind::Owed(Some((owed, age))) => (OWED, [owed.destination.clone(), span(*age)]),
        Kind::Fired(found) => (FIRED, aged(found.as_ref(), span)),
        Kind::Issued(found) => {
            (ISSUED, found.as_ref().map(|(name, count)| [name.clone(), count.to_string()]).unwrap_or_default())
        }
        Kind::Planned(age) => (PLANNED, [age.map(span).unwrap_or_default(), String::new()]),
        Kind::Certain(count) => (CERTAIN, [count.to_string(), String::new()]),
        Kind::Heard(source, quiet) => (HEARD, [source.clone(), span(*quiet)]),
        Kind::Free(found) => (FREE, aged(found.as_ref(), span)),
        Kind::Sure(_) => (SURE, Default::default()),
    };
    let fill = |text: &str| text.replace("{0}", &values[0]).replace("{1}", &values[1]);
    let is_kept = state == State::Kept;
    Said {
        name: fill(words.name[tongue]),
        found: fill(if is_kept { words.kept[tongue] } else { words.found[tongue] }),
        fix: if is_kept { String::new() } else { words.fix[tongue].to_owned() },
    }
}

fn aged(found: Option<&(String, Duration)>, span: impl Fn(Duration) -> String) -> [String; 2] {
    found.map(|(name, age)| [name.clone(), span(*age)]).unwrap_or_default()
}

/// A length of time in its largest unit that leaves at least two of it, which is as exact as anybody wants it here.
fn span(age: Duration, tongue: usize) -> String {
    const UNITS: [(u64, [&str; 3]); 3] =
        [(86_400, [" days", "일", " 天"]), (3_600, [" hours", "시간", " 小时"]), (60, [" minutes", "분", " 分钟"])];
    let seconds = age.as_secs();
    let unit = UNITS.iter().find(|(length, _)| seconds >= 2 * length);
    let (length, words) = unit.unwrap_or(&(1, [" seconds", "초", " 秒"]));
    format!("{}{}", seconds / length, words[tongue])
}
