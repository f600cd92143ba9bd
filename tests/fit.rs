//! Texts fitted by us, counted by the networks' own libraries: npm `twitter-text` and `@atproto/api` (RichText), for posts in Korean,
//! English, Chinese and mixed, with emoji, long addresses and hashtags.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::clock::{Chance as _, SeededChance};
use allim::render::fit::{Fitted, Hashtags, Kind, Limit, Measure, Parts, fit, hashtags};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

const POSTS: u64 = 200;

const KOREAN: &[&str] = &[
    "지역이 스스로 혁신을 설계하려면 무엇이 필요한지 함께 묻습니다.",
    "과학기술정책 공개 토론회",
    "세종 국책연구단지 대강당에서 열립니다 (무료).",
    "👩‍🔬🧑‍🔬🐻‍❄️ 연구자와 👨‍👩‍👧‍👦 가족 모두 환영합니다!",
    "참가 신청은 ☎️ 044-000-0000 또는 1️⃣ 번 창구",
    "자세한 내용은 https://board.example.org/행사/2026?번호=7&쪽=2 참고",
    "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} 조합형",
    "“따옴표”와 ‘낱말’—그리고 … 줄임표",
    "🇰🇷🇨🇳🇬🇧 세 나라",
    "누리집은 stepi.re.kr 입니다, 문의는 kim@stepi.re.kr 로.",
    "값은 3.14% 늘었고 v2.0 판이 나왔다.",
];
const ENGLISH: &[&str] = &[
    "Open forum on regional innovation.",
    "Call for papers: interdisciplinary submissions are welcome",
    "Doors open at 14:00 🕑, bring your badge 🪪.",
    "See http://example.com/a_(b)?q=1#part, or ask us.",
    "Naïve façade — coöperate, e\u{301}te\u{301}!",
    "R&D budgets rose 4.5% (see table 3.2).",
    "It’s “free” ❤️‍🔥 🤷🏽‍♀️ 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🫠 ✊🏽 ☝🏿 ©2026 ™",
    "Read more at https://www.example.org/path/to/a/very/long/page/with/many/parts/and-more_and_more.html.",
    "Write to forum@example.org, or visit stepi.re.kr or www.example.org/forum today.",
    "1️⃣ first 2️⃣ second #️⃣ sign *️⃣ star",
];
const CHINESE: &[&str] = &[
    "区域创新公开论坛",
    "欢迎研究人员与市民参加，入场免费。",
    "详情请见 https://board.example.org/zh/forum?id=7 。",
    "《科学技术政策》第十二期出版 🎉",
    "名额有限，请提前报名！𠮷野家",
    "时间：下午两点；地点：大礼堂。",
];
const TAGS: &[&str] =
    &["혁신정책", "지역 혁신", "R&D", "科技政策", "innovation", "2026년", "OpenData", "과학_기술", "탄소-중립"];

/// Reproducible posts.
struct Posts(SeededChance);

impl Posts {
    fn below(&self, count: usize) -> usize {
        usize::try_from(self.0.draw() % count as u64).expect("small")
    }

    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn text(&self, index: u64, pieces: usize) -> String {
        let mixed = [KOREAN, ENGLISH, CHINESE];
        let piece = |_| self.one(if index % 4 == 3 { mixed[self.below(3)] } else { mixed[(index % 4) as usize] });
        (0..pieces).map(piece).collect::<Vec<_>>().join(" ")
    }

    fn post(&self, index: u64, rule: Hashtags) -> Parts {
        let tags: Vec<&str> = (0..self.below(4)).map(|_| self.one(TAGS)).collect();
        let long = "/자료".repeat(self.below(6));
        let url = match self.below(3) {
            0 => format!("https://allim.example.org/posts/{index:026}"),
            1 => format!("https://board.example.org{long}/notices?id={index}&lang=ko"),
            _ => format!(
                "https://board.example.org/a/very/long/path/{}/page.html?number={index}",
                "x".repeat(self.below(120))
            ),
        };
        Parts {
            title: self.text(index, 1),
            event: index.is_multiple_of(3).then(|| "2026년 12월 3일 (목) 14:00 · 세종 대강당".to_owned()),
            summary: Some(self.text(index, 1 + self.below(8))),
            tags: hashtags(tags, rule, 3),
            url: Some(url::Url::parse(&url).expect("an address").into()),
        }
    }
}

fn counted(texts: &[&str], tools: &str) -> Vec<Value> {
    let mut node = Command::new("node")
        .arg("tests/fit.mjs")
        .env("ALLIM_TEST_TOOLS", tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    let mut input = node.stdin.take().expect("a pipe");
    let lines: String = texts.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = node.wait_with_output().expect("it ends");
    writing.join().expect("it is written").expect("it is read");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn all(rule: Hashtags, limits: &[Limit]) -> Vec<Fitted> {
    let posts = Posts(SeededChance::new(7));
    (0..POSTS).map(|index| fit(&posts.post(index, rule), limits).expect("it fits")).collect()
}

#[test]
fn x_counts_our_texts_as_we_do() {
    let Some(tools) = support::server("ALLIM_TEST_TOOLS") else { return };
    let fitted = all(Hashtags::Words, &[Limit { measure: Measure::Weighted, max: 280 }]);
    assert!(fitted.iter().filter(|fitted| fitted.is_cut).count() > 50);
    let texts: Vec<&str> = fitted.iter().map(|fitted| fitted.text.as_str()).collect();
    for (fitted, counted) in fitted.iter().zip(counted(&texts, &tools)) {
        assert_eq!(json!(fitted.counts[0]), counted["weighted"], "{:?}", fitted.text);
        assert_eq!(counted["valid"], true, "{:?}", fitted.text);
    }
}

#[test]
fn bluesky_counts_our_texts_as_we_do_and_finds_the_same_addresses_and_hashtags() {
    let Some(tools) = support::server("ALLIM_TEST_TOOLS") else { return };
    let limits = [Limit { measure: Measure::Graphemes, max: 300 }, Limit { measure: Measure::Octets, max: 3_000 }];
    let fitted = all(Hashtags::Loose, &limits);
    assert!(fitted.iter().filter(|fitted| fitted.is_cut).count() > 50);
    let texts: Vec<&str> = fitted.iter().map(|fitted| fitted.text.as_str()).collect();
    for (fitted, counted) in fitted.iter().zip(counted(&texts, &tools)) {
        let text = &fitted.text;
        assert_eq!(
            (json!(fitted.counts[0]), json!(fitted.counts[1])),
            (counted["graphemes"].clone(), counted["octets"].clone()),
            "{text:?}"
        );
        // Addresses that a title or a summary holds are theirs too; ours are the post's own.
        let theirs = counted["facets"].as_array().expect("a list");
        let ours: Vec<Value> = fitted
            .spans
            .iter()
            .map(|span| {
                let said = &text[span.start..span.end];
                let (kind, says) = match span.kind {
                    Kind::Url => ("link", said),
                    Kind::Tag => ("tag", said.trim_start_matches('#')),
                };
                json!({ "start": span.start, "end": span.end, "kind": kind, "says": says })
            })
            .collect();
        let begin = fitted.spans.first().map_or(0, |span| span.start);
        let theirs: Vec<Value> =
            theirs.iter().filter(|facet| facet["start"].as_u64() >= Some(begin as u64)).cloned().collect();
        assert_eq!(ours, theirs, "{text:?}");
    }
}
