use super::*;
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation as _;

const X: [Limit; 1] = [Limit { measure: Measure::Weighted, max: 280 }];
const BLUESKY: [Limit; 2] =
    [Limit { measure: Measure::Graphemes, max: 300 }, Limit { measure: Measure::Octets, max: 3_000 }];
const MASTODON: [Limit; 1] = [Limit { measure: Measure::Mastodon, max: 500 }];

/// As X's own documents and its library's conformance suite have it.
#[test]
fn x_counts_as_it_says_that_it_does() {
    let cases = [
        ("", 0),
        ("This is a test.", 15),
        ("가나다", 6),
        ("春分", 4),
        ("é", 1),
        ("e\u{301}", 1),
        ("\u{1112}\u{1161}\u{11ab}", 2), // 한, as macOS types it
        ("—", 1),                        // U+2014 is within 8208 to 8223
        ("…", 2),
        ("😀", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("👋🏽", 2),
        ("☝🏽", 2),
        ("🇰🇷", 2),
        ("1️⃣", 2),
        // Younger than its table, so it counts as two emoji and a joiner.
        ("❤️‍🔥", 5),
        ("🧑‍🔬", 5),
        ("👩‍🔬", 2),
        ("🏳️‍🌈", 2),
        ("🤷🏽‍♀️", 2),
        ("#️⃣", 2),
        ("7", 1),
        ("https://example.org/a/very/long/path?with=parameters&and=more", 23),
        ("see https://a.kr.", 28),
        ("(https://a.kr/x)", 25),
        ("http://a.kr https://b.kr", 47),
    ];
    for (text, count) in cases {
        assert_eq!(Measure::Weighted.count(text), count, "{text:?}");
    }
    // Where X would see the name of a host, at least what a link counts is left for it.
    assert_eq!((Measure::Weighted.count("stepi.re.kr"), Measure::Weighted.count("v1.2")), (23, 4));
}

#[test]
fn the_others_count_as_they_say() {
    assert_eq!((Measure::Graphemes.count("한글 👨‍👩‍👧‍👦"), Measure::Octets.count("한글")), (4, 6));
    assert_eq!((Measure::Utf16.count("한😀"), Measure::Scalars.count("한😀")), (3, 2));
    let cases = [
        ("https://example.org/a/very/long/path", 23),
        ("안녕 @name@mastodon.example 님", 3 + 5 + 2),
        ("@name", 5),
        ("@a@b.example/긴말", 2 + 3),
        ("@a@b.example,그리고", 2 + 4),
        ("@a@b.example.", 2 + 1),
        ("a@b.example", 11),
        ("👨‍👩‍👧‍👦", 1),
    ];
    for (text, count) in cases {
        assert_eq!(Measure::Mastodon.count(text), count, "{text:?}");
    }
}

fn parts() -> Parts {
    Parts {
        title: "과학기술 혁신정책 공개 토론회에 초대합니다".to_owned(),
        event: Some("2026년 12월 3일 14:00, 세종 국책연구단지 대강당".to_owned()),
        summary: Some(
            "지역이 스스로 혁신을 설계하려면 무엇이 필요한지 함께 묻습니다. 첫째 마당에서는 연구자들이 지난 다섯 해의 변화를 숫자로 보여 주고, \
             둘째 마당에서는 현장의 사람들이 무엇이 막혔는지 말합니다. 마지막에는 참석자 모두가 다음 해의 과제를 세 가지로 줄여 봅니다."
                .to_owned(),
        ),
        tags: vec!["혁신정책".to_owned(), "지역".to_owned()],
        url: Some("https://allim.example.org/posts/ldnkvnnmpnbzat4wdbzw473gqj".to_owned()),
    }
}

#[test]
fn what_fits_is_said_whole_and_what_does_not_ends_with_a_sentence() {
    let whole = fit(&parts(), &MASTODON).unwrap();
    assert!(!whole.is_cut && whole.text.contains("세 가지로 줄여 봅니다.\n\n#혁신정책 #지역\nhttps://"));
    let x = fit(&parts(), &X).unwrap();
    assert!(x.is_cut && x.counts[0] <= 280, "{x:?}");
    assert!(x.text.contains("함께 묻습니다.\n\n#혁신정책") || x.text.contains("…\n\n#혁신정책"), "{}", x.text);
    for span in &x.spans {
        let text = &x.text[span.start..span.end];
        match span.kind {
            Kind::Tag => assert!(text.starts_with('#') && !text.contains(' ')),
            Kind::Url => assert_eq!(Some(text), parts().url.as_deref()),
        }
    }
    let english = Parts {
        title: "Call for papers".to_owned(),
        summary: Some(format!(
            "We look for work on regional innovation. {}",
            "Interdisciplinary submissions are welcome ".repeat(20)
        )),
        url: Some("https://allim.example.org/posts/x".to_owned()),
        ..Parts::default()
    };
    let text = fit(&english, &X).unwrap().text;
    let (said, _) = text.rsplit_once("\n\n").unwrap();
    assert!(
        said.ends_with("welcome…")
            || said.ends_with("are…")
            || said.ends_with("submissions…")
            || said.ends_with("Interdisciplinary…"),
        "{said}"
    );
}

#[test]
fn the_title_goes_last_and_an_address_that_leaves_no_room_is_refused() {
    let long = Parts { title: "아주 긴 제목 ".repeat(60), summary: None, event: None, ..parts() };
    let fitted = fit(&long, &X).unwrap();
    assert!(fitted.text.starts_with("아주 긴 제목") && fitted.text.contains('…') && !fitted.text.contains('#'));
    let endless = Parts { url: Some(format!("https://a.kr/{}", "x".repeat(400))), ..parts() };
    assert!(fit(&endless, &X).is_ok(), "X counts any address as 23");
    let refused = fit(&endless, &BLUESKY).unwrap_err();
    assert_eq!((refused.max, refused.measure), (300, Measure::Graphemes));
    assert!(refused.to_string().contains("of the 300 that the network takes"), "{refused}");
}

#[test]
fn hashtags_are_what_networks_take_for_one() {
    let words = |tag: &str| hashtag(tag, Hashtags::Words);
    assert_eq!(words("과학 기술").as_deref(), Some("과학기술"));
    assert_eq!(words("R&D").as_deref(), Some("RD"));
    assert_eq!(words("탄소-중립").as_deref(), Some("탄소중립"));
    assert_eq!((words("2026"), words("…"), words("")), (None, None, None));
    assert_eq!(words("2026년").as_deref(), Some("2026년"));
    assert_eq!(words("科技政策").as_deref(), Some("科技政策"));
    assert_eq!(hashtag("R&D", Hashtags::Loose).as_deref(), Some("R&D"));
    assert_eq!(hashtag("혁신", Hashtags::None), None);
    assert_eq!(hashtags(["혁신", "혁 신", "지역", "Ab", "aB"], Hashtags::Words, 3), ["혁신", "지역", "Ab"]);
}

fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[가-힣]{1,8}",
        "[a-z]{1,12}",
        "[一-龥]{1,6}",
        "[0-9]{1,4}",
        Just("👨‍👩‍👧‍👦".to_owned()),
        Just("🇰🇷".to_owned()),
        Just("https://a.kr/길?x=1".to_owned()),
        Just("끝.".to_owned()),
        Just("e\u{301}te\u{301}".to_owned()),
        Just("그래?\"".to_owned()),
        Just("stepi.re.kr".to_owned()),
        "\\PC{1,5}",
    ];
    proptest::collection::vec(piece, 0..120).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_ever_too_long_nor_cut_where_it_may_not_be(title in words(), summary in words(), tags in proptest::collection::vec("[가-힣a-z]{1,10}", 0..6)) {
        let parts = Parts { title: title.clone(), event: None, summary: Some(summary.clone()), tags, url: Some("https://a.example/posts/1".to_owned()) };
        for limits in [&X[..], &BLUESKY[..], &MASTODON[..], &[Limit { measure: Measure::Utf16, max: 120 }]] {
            let Ok(fitted) = fit(&parts, limits) else {
                prop_assert!(title.graphemes(true).count() > 0, "an empty title always fits");
                continue;
            };
            for (limit, count) in limits.iter().zip(&fitted.counts) {
                prop_assert!(*count <= limit.max && limit.measure.count(&fitted.text) == *count);
            }
            let url = fitted.spans.last().expect("the address");
            prop_assert_eq!(&fitted.text[url.start..url.end], "https://a.example/posts/1");
            // What is left of title and summary is a beginning of it, to the end of a character.
            let said: Vec<&str> = fitted.text[..url.start].split("\n\n").collect();
            let is_beginning = |of: &str, kept: &str| {
                let kept = kept.trim_end().trim_end_matches('…');
                of.trim_end() == kept.trim_end() || of.grapheme_indices(true).any(|(at, _)| of[..at].trim_end() == kept.trim_end())
            };
            if !title.is_empty() && !title.contains("\n") && !summary.contains('\n') {
                prop_assert!(is_beginning(&title, said[0]), "{:?} of {title:?}", said[0]);
            }
        }
    }
}
