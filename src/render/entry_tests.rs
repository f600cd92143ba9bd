use super::*;
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Attachment, Body, BodyFormat, EventTime, Image, Standing};

pub(crate) fn post(id: &str, title: &str, html: &str) -> Post {
    Post {
        source_id: id.to_owned(),
        story: None,
        language: Language::parse("ko").unwrap(),
        languages_expected: vec![],
        topics: vec!["events".to_owned()],
        tags: vec![],
        breadcrumb: ["알림마당", "행사"].map(CleanText::new).to_vec(),
        title: CleanText::new(title),
        summary: None,
        author: Some(CleanText::new("기획홍보팀")),
        published_at: UnixMillis(1_776_750_000_000),
        updated_at: None,
        embargo_until: None,
        expires_at: None,
        url: Some(format!("https://board.example.org/view?id={id}&p=1")),
        body: Body { format: BodyFormat::Html, content: CleanText::new(html) },
        images: vec![Image {
            url: "https://board.example.org/hall.jpg".to_owned(),
            alt: Some(CleanText::new("불 켜진 \"강당\"")),
            caption: Some(CleanText::new("강당 전경 <사진 1>")),
            media_type: Some("image/jpeg".to_owned()),
            bytes: Some(120_000),
        }],
        attachments: vec![Attachment {
            url: "https://board.example.org/down.do?f=1&n=2".to_owned(),
            name: CleanText::new("모집 요강.pdf"),
            media_type: Some("application/pdf".to_owned()),
            bytes: Some(1_234_567),
        }],
        contact: Some(Contact {
            department: Some(CleanText::new("국제협력실")),
            name: Some(CleanText::new("이하늘")),
            phone: Some(CleanText::new("044-000-0000")),
            email: Some(CleanText::new("ask@board.example.org")),
        }),
        event: Some(Event {
            starts_at: EventTime::Time(jiff::civil::datetime(2026, 4, 22, 14, 0, 0, 0)),
            ends_at: None,
            time_zone: Some("Asia/Shanghai".to_owned()),
            location: Some(CleanText::new("상하이 국제회의장")),
            url: Some("https://event.example.org/".to_owned()),
        }),
        urgent: false,
        views: Some(12),
        license: None,
        path: Vec::new(),
    }
}

pub(crate) fn showable(post: Post) -> Showable {
    let standing = Standing {
        post_id: format!("id{}", post.source_id),
        story_id: "story".to_owned(),
        source: "board".to_owned(),
        revision: 1,
        received_at: post.published_at,
        revised_at: None,
        public_at: Some(post.published_at),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    Showable::public(standing, post).unwrap()
}

#[test]
fn a_body_is_cut_only_where_a_link_leads_to_the_rest() {
    let mut long = post("1", "긴 글", &format!("<p>{}</p>", "가나다라마바 ".repeat(300)));
    assert!(
        excerpt(&long, Length::Moderate)
            .is_some_and(|text| text.ends_with("바…") && text.chars().count() <= EXCERPT_LEN + 1)
    );
    assert_eq!((excerpt(&long, Length::Whole), excerpt(&long, Length::Line)), (None, None));
    long.summary = Some(CleanText::new("짧게 말하면\n이렇습니다."));
    assert_eq!(excerpt(&long, Length::Excerpt).as_deref(), Some("짧게 말하면 이렇습니다."));
    assert_eq!(excerpt(&post("2", "짧은 글", "<p>끝</p>"), Length::Excerpt), None);
}

#[test]
fn a_picture_of_the_body_is_not_shown_twice() {
    let mut post = post("1", "제목", "");
    let shown = r#"<p><img src="https://board.example.org/hall.jpg"></p>"#;
    assert_eq!(images(&post, Some(shown)).len(), 0);
    assert_eq!(images(&post, None).len(), 1);
    post.images[0].url = "javascript:alert(1)//".to_owned();
    assert_eq!(images(&post, None).len(), 0);
}
