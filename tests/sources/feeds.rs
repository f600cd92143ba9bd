//! Feeds that are pulled, and servers that do what no server should; on both databases.

use crate::server::{Manner, Reply, Server};
use crate::shapes::{Reader, atom, entry, followed};
use crate::world::{World, on_both};
use allim::domain::clock::UnixMillis;
use allim::intake::feed::{self, FEED_BYTES_MAX, Taken};
use allim::store::posts;
use encoding_rs::{EUC_KR, GBK};
use std::io::Write as _;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

on_both!(
    each_format_becomes_the_same_post,
    what_has_not_changed_is_not_sent_again,
    a_server_says_when_to_come_again,
    what_is_gone_for_good_is_asked_for_no_more,
    redirections_are_followed_within_bounds,
    what_is_no_feed_is_a_named_failure,
    old_encodings_are_read,
    entries_change_vanish_and_are_taken_back,
    ids_that_change_make_no_second_post,
    entries_without_a_date_keep_the_first_one,
    what_is_wrong_with_an_entry_costs_it_alone,
    our_own_comes_back_and_others_paths_are_kept,
    a_dripping_server_holds_up_no_other,
    two_feeds_of_one_source_share_what_is_the_same_and_mix_nothing_else,
    two_feeds_that_are_pulled_at_once_have_each_post_once,
    a_feed_that_moves_keeps_its_posts,
);

fn new(count: usize) -> Result<Taken, String> {
    Ok(Taken { new: count, ..Taken::default() })
}

async fn each_format_becomes_the_same_post(world: World) {
    let at = world.now().await.minus(DAY);
    let rss = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE rss PUBLIC \"-//Netscape//DTD RSS 0.91//EN\" \"http://e.example/rss.dtd\">\
         <rss version=\"2.0\" xmlns:content=\"http://purl.org/rss/1.0/modules/content/\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:media=\"http://search.yahoo.com/mrss/\"><channel><title>소식</title><link>https://p.example/</link>\
         <description>d</description><language>ko-kr</language><item><guid isPermaLink=\"false\">n-1</guid>\
         <title>물 순환 세미나 &amp;amp; 전시</title><link>/n/1</link><pubDate>{}</pubDate>\
         <description>&lt;b&gt;요약&lt;/b&gt; 한 줄</description><content:encoded><![CDATA[<p>본문 <a href=\"https://p.example/x\">더</a></p>]]></content:encoded>\
         <category>공지사항</category><category>물</category><dc:rights>CC0</dc:rights>\
         <enclosure url=\"https://p.example/plan.pdf\" length=\"12\" type=\"application/pdf\"/>\
         <media:content url=\"https://p.example/hall.jpg\" medium=\"image\"><media:title>강당</media:title><media:description>강당에 앉은 청중</media:description></media:content>\
         </item></channel></rss>",
        at.timestamp().strftime("%a, %d %b %Y %H:%M:%S +0000")
    );
    let json = format!(
        "{{\"version\": \"https://jsonfeed.org/version/1.1\", \"title\": \"t\", \"language\": \"ko\", \"items\": [{{\
         \"id\": \"n-1\", \"title\": \"물 순환 세미나 & 전시\", \"url\": \"https://p.example/n/1\", \"date_published\": \"{at}\",\
         \"summary\": \"요약 한 줄\", \"content_html\": \"<p>본문 <a href=\\\"https://p.example/x\\\">더</a></p>\",\
         \"tags\": [\"공지사항\", \"물\"], \"image\": \"https://p.example/hall.jpg\",\
         \"attachments\": [{{\"url\": \"https://p.example/plan.pdf\", \"mime_type\": \"application/pdf\", \"size_in_bytes\": 12}}]}}]}}"
    );
    let reader = Reader::new(world, &["/feed"]).await;
    // Relative links are those of the feed's own address.
    assert_eq!(reader.pull_this(Reply::new(200, rss.replace("/n/1", "https://p.example/n/1"))).await, new(1));
    let (standing, post) = reader.only().await;
    assert_eq!((post.source_id.as_str(), post.title.as_str()), ("n-1", "물 순환 세미나 & 전시"));
    assert_eq!(post.summary.as_ref().map(|text| text.as_str()), Some("요약 한 줄"));
    assert_eq!(post.body.content.as_str(), "<p>본문 <a href=\"https://p.example/x\">더</a></p>");
    assert_eq!((post.topics, post.tags), (vec!["notices".to_owned()], vec!["물".to_owned()]));
    assert_eq!((post.language.as_str(), post.published_at.0 / 1_000), ("ko-KR", at.0 / 1_000));
    assert_eq!((post.author.expect("one").as_str(), post.license.expect("one").as_str()), ("한강 연구소", "CC0"));
    let image = &post.images[0];
    assert_eq!(
        (image.url.as_str(), image.alt.as_ref().expect("alt").as_str()),
        ("https://p.example/hall.jpg", "강당에 앉은 청중")
    );
    assert_eq!((post.attachments[0].name.as_str(), post.attachments[0].bytes), ("plan.pdf", Some(12)));
    assert!(standing.backfill_at.is_none() && post.url.as_deref() == Some("https://p.example/n/1"));
    // The same in another format is the same post, a revision where it says less or more.
    assert_eq!(reader.pull_this(Reply::new(200, json)).await, Ok(Taken { revised: 1, ..Taken::default() }));
    let (standing, post) = reader.only().await;
    assert_eq!(
        (standing.revision, post.title.as_str(), post.tags),
        (2, "물 순환 세미나 & 전시", vec!["물".to_owned()])
    );
    assert_eq!((post.images[0].url.as_str(), post.attachments.len()), ("https://p.example/hall.jpg", 1));
}

async fn what_has_not_changed_is_not_sent_again(world: World) {
    let text = atom(&entry("urn:1", "하나", "https://p.example/1", Some(world.now().await)));
    let reader = Reader::new(world, &["/feed"]).await;
    let modified = "Mon, 20 Apr 2026 00:00:00 GMT";
    reader.server.say("/feed", Reply::new(200, text).with("etag", "\"v1\"").with("last-modified", modified));
    assert_eq!(reader.pull().await, new(1));
    // The schedule, not an operator: only what changed is asked for.
    let feed = reader.feed().await;
    assert_eq!((feed.etag.as_deref(), feed.last_modified.as_deref()), (Some("\"v1\""), Some(modified)));
    make_due(&reader).await;
    run_until(&reader, |asked| asked == 2).await;
    let second = reader.server.asked().remove(1);
    assert_eq!(second.headers.get("if-none-match").map(String::as_str), Some("\"v1\""));
    assert_eq!(second.headers.get("if-modified-since").map(String::as_str), Some(modified));
    let after = reader.feed().await;
    assert_eq!((after.failures, after.etag.as_deref(), after.why), (0, Some("\"v1\""), None));
    assert!(after.next_at > reader.world.now().await.plus(Duration::from_secs(800)));
}

/// Makes the only feed due, as time does.
async fn make_due(reader: &Reader) {
    let url = reader.puller.feeds[0].url.clone();
    let sql = "UPDATE pulled_feeds SET next_at = 0 WHERE url = $1";
    reader.world.store.write(move |tx| tx.execute(sql, &[url.as_str().into()])).await.expect("due");
}

/// Runs the schedule until the server was asked so often and the answer is recorded.
async fn run_until(reader: &Reader, fits: impl Fn(usize) -> bool) {
    let (end, stop) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(feed::run(reader.puller.clone(), stop));
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !fits(reader.server.asked().len()) || reader.feed().await.next_at.0 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What was asked is recorded a moment later.
        let rest = async || reader.world.now().await.until(reader.feed().await.next_at).as_secs();
        while (280..=300).contains(&rest().await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("in time");
    end.send(true).expect("it runs");
    running.await.expect("it ends");
}

async fn a_server_says_when_to_come_again(world: World) {
    let text = atom(&entry("urn:1", "하나", "https://p.example/1", Some(world.now().await)));
    let reader = Reader::new(world, &["/feed"]).await;
    let rest = |feed: allim::store::pulled::Feed, now: UnixMillis| now.until(feed.next_at).as_secs();
    for (header, least, most) in
        [("max-age=60", 880, 900), ("public, max-age=7200", 7_180, 7_200), ("max-age=99999999", 86_380, 86_400)]
    {
        reader.pull_this(Reply::new(200, text.clone()).with("cache-control", header)).await.expect("well");
        let rest = rest(reader.feed().await, reader.world.now().await);
        assert!((least..=most).contains(&rest), "{header}: {rest}");
    }
    let why = reader.pull_this(Reply::new(429, "slow").with("retry-after", "4000")).await.expect_err("no");
    assert_eq!(why, "it was answered 429");
    let feed = reader.feed().await;
    assert_eq!((feed.failures, feed.why.as_deref()), (1, Some("it was answered 429")));
    let waits = rest(feed, reader.world.now().await);
    assert!((3_980..=4_000).contains(&waits), "{waits}");
    reader.pull_this(Reply::new(503, "").with("retry-after", "99999999")).await.expect_err("no");
    assert!((86_380..=86_400).contains(&rest(reader.feed().await, reader.world.now().await)));
    // Without a word of the server it is asked less and less often.
    for _ in 0..3 {
        reader.pull_this(Reply::new(500, "")).await.expect_err("no");
    }
    let feed = reader.feed().await;
    assert_eq!(feed.failures, 5);
    assert!(rest(feed, reader.world.now().await) > 5_000);
    reader.pull_this(Reply::new(200, text)).await.expect("well");
    assert_eq!(reader.feed().await.failures, 0);
}

async fn what_is_gone_for_good_is_asked_for_no_more(world: World) {
    let text = atom(&entry("urn:1", "하나", "https://p.example/1", Some(world.now().await)));
    let reader = Reader::new(world, &["/feed"]).await;
    reader.pull_this(Reply::new(410, "")).await.expect_err("gone");
    let feed = reader.feed().await;
    assert!(feed.ended_at.is_some() && feed.why.expect("a reason").contains("410"));
    let (url, now) = (reader.puller.feeds[0].url.clone(), reader.world.now().await.plus(DAY * 10));
    let take = move |tx: &mut allim::store::Tx<'_>| allim::store::pulled::take(tx, &[&url], now, now);
    assert_eq!(reader.world.store.write(take).await.expect("asked"), None);
    assert_eq!(reader.pull_this(Reply::new(200, text)).await, new(1), "an operator begins again");
    assert_eq!(reader.feed().await.ended_at, None);
}

async fn redirections_are_followed_within_bounds(world: World) {
    let text = atom(&entry("urn:1", "하나", "https://p.example/1", Some(world.now().await)));
    let reader = Reader::new(world, &["/feed"]).await;
    let server = reader.server.clone();
    server.say("/new", Reply::new(200, text));
    assert_eq!(reader.pull_this(Reply::new(302, "").with("location", "/new")).await, new(1));
    assert_eq!(reader.feed().await.moved_to, None, "for now only");
    server.say("/between", Reply::new(308, "").with("location", "/new"));
    reader.pull_this(Reply::new(301, "").with("location", "/between#top")).await.expect("well");
    assert_eq!(reader.feed().await.moved_to, Some(server.url("/new")));
    let before = server.asked().len();
    make_due(&reader).await;
    run_until(&reader, |asked| asked > before).await;
    assert!(server.asked()[before].line.starts_with("GET /new "), "it is asked where it is");
    // Where it moved to is no feed any more: back to what the configuration says.
    server.say("/new", Reply::new(404, ""));
    make_due(&reader).await;
    run_until(&reader, |asked| asked > before + 1).await;
    assert_eq!(reader.feed().await.moved_to, None);
    for inward in
        ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "file:///etc/passwd", "https://[::1]/"]
    {
        let why = reader.pull_this(Reply::new(301, "").with("location", inward)).await.expect_err("refused");
        assert!(why.contains("[outgoing]"), "{inward}: {why}");
    }
    let why = reader.pull_this(Reply::new(302, "").with("location", "/feed")).await.expect_err("a circle");
    assert_eq!(why, "it leads elsewhere again and again");
}

/// A little that unpacks to more than a feed may have.
fn packed(length: usize) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b' '; length]).expect("packed");
    packer.finish().expect("packed")
}

async fn what_is_no_feed_is_a_named_failure(world: World) {
    let whole = atom(&entry("urn:1", "하나", "https://p.example/1", Some(world.now().await)));
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;\">]><rss version=\"2.0\"><channel><title>&lol2;</title></channel></rss>";
    let outside = "<!DOCTYPE rss [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><rss version=\"2.0\"><channel><item><title>&x;</title></item></channel></rss>";
    let deep = format!("<rss version=\"2.0\"><channel>{}</channel></rss>", "<a>".repeat(50_000));
    let cases: Vec<(Reply, &str)> = vec![
        (Reply::new(200, laughs), "it declares entities of its own"),
        (Reply::new(200, outside), "it declares entities of its own"),
        (Reply::new(200, deep), "deeper than 100"),
        (Reply::new(200, &whole.as_bytes()[..whole.len() - 20]), ""),
        (Reply::new(200, whole.clone()).in_manner(Manner::BrokenOff), "it broke off"),
        (Reply::new(200, vec![b'<'; FEED_BYTES_MAX + 2 * 1024 * 1024]), "larger than 8 MiB"),
        (Reply::new(200, packed(FEED_BYTES_MAX + 1)).with("content-encoding", "gzip"), "larger than 8 MiB"),
        (Reply::new(200, "no gzip").with("content-encoding", "gzip"), "can't be unpacked"),
        (Reply::new(200, "<html><body>점검 중입니다</body></html>"), "no root element"),
        (Reply::new(200, ""), ""),
        (Reply::new(200, "{\"version\": \"https://jsonfeed.org/version/1\", \"items\": [{"), ""),
        (Reply::new(200, vec![0xB0, 0xF8, 0xC1, 0xF6, 0xBB, 0xE7, 0xC7, 0xD7]), "aren't UTF-8"),
        (Reply::new(404, "<html>"), "it was answered 404"),
    ];
    let reader = Reader::new(world, &["/feed"]).await;
    for (number, (reply, words)) in (1..).zip(cases) {
        let why = reader.pull_this(reply).await.expect_err("no feed");
        assert!(why.contains(words) && !why.is_empty(), "case {number}: {why}");
        let feed = reader.feed().await;
        assert_eq!((feed.failures, feed.why.as_deref(), feed.taken_at), (number, Some(why.as_str()), None));
    }
    assert!(reader.posts().await.is_empty() && reader.quarantined().await.is_empty());
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(whole.as_bytes()).expect("packed");
    let honest = Reply::new(200, packer.finish().expect("packed")).with("content-encoding", "gzip");
    assert_eq!(reader.pull_this(honest).await, new(1));
}

async fn old_encodings_are_read(world: World) {
    let at = world.now().await;
    let rss = |declared: &str, number: usize, title: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"{declared}\"?><rss version=\"2.0\"><channel><title>t</title><item>\
             <guid>e-{number}</guid><title>{title}</title><pubDate>{}</pubDate></item></channel></rss>",
            at.timestamp().strftime("%a, %d %b %Y %H:%M:%S +0000")
        )
    };
    let reader = Reader::new(world, &["/feed"]).await;
    let korean = EUC_KR.encode(&rss("euc-kr", 1, "봄 공개 세미나")).0.into_owned();
    assert_eq!(reader.pull_this(Reply::new(200, korean)).await, new(1));
    let header = EUC_KR.encode(&rss("utf-8", 2, "여름 강좌")).0.into_owned();
    assert_eq!(
        reader.pull_this(Reply::new(200, header).with("content-type", "text/xml; charset=EUC-KR")).await,
        new(1)
    );
    let wide: Vec<u8> = rss("UTF-16", 3, "가을 음악회").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(reader.pull_this(Reply::new(200, [&[0xFF, 0xFE], &wide[..]].concat())).await, new(1));
    let chinese = GBK.encode(&rss("GBK", 4, "图书馆新增夜间开放时间")).0.into_owned();
    assert_eq!(reader.pull_this(Reply::new(200, chinese)).await, new(1));
    let titles: Vec<String> = reader.posts().await.into_iter().map(|(_, post)| post.title.to_string()).collect();
    for title in ["봄 공개 세미나", "여름 강좌", "가을 음악회", "图书馆新增夜间开放时间"] {
        assert!(titles.iter().any(|there| there == title), "{titles:?}");
    }
}

async fn entries_change_vanish_and_are_taken_back(world: World) {
    let at = world.now().await.minus(Duration::from_secs(60));
    let one = |title: &str| entry("urn:1", title, "https://p.example/1", Some(at));
    let two = entry("urn:2", "둘", "https://p.example/2", Some(at.minus(DAY * 30)));
    let reader = Reader::new(world, &["/feed"]).await;
    let pull = async |entries: String| reader.pull_this(Reply::new(200, atom(&entries))).await.expect("well");
    assert_eq!(pull(one("하나") + &two).await, Taken { new: 2, ..Taken::default() });
    let standing = async |title: &str| {
        let posts = reader.posts().await;
        posts.into_iter().find(|(_, post)| post.title.as_str() == title).expect("there").0
    };
    assert!(standing("하나").await.backfill_at.is_none(), "recent: it goes out");
    assert!(standing("둘").await.backfill_at.is_some(), "old: it is shown only");
    assert_eq!(pull(one("하나") + &two).await, Taken::default());
    // The window has moved on; nothing has happened to what is out of it.
    assert_eq!(pull(one("하나, 고침")).await, Taken { revised: 1, ..Taken::default() });
    assert_eq!((standing("하나, 고침").await.revision, reader.posts().await.len()), (2, 2));
    // To and fro: each is a revision, nothing is taken for a repeat of long ago.
    for title in ["하나", "하나, 고침", "하나"] {
        assert_eq!(pull(one(title)).await, Taken { revised: 1, ..Taken::default() });
    }
    assert_eq!(standing("하나").await.revision, 5);
    let gone = "<at:deleted-entry ref=\"urn:2\" when=\"2026-01-01T00:00:00Z\"/><at:deleted-entry ref=\"urn:none\" when=\"2026-01-01T00:00:00Z\"/>";
    assert_eq!(pull(one("하나") + gone).await, Taken { withdrawn: 1, ..Taken::default() });
    assert!(standing("둘").await.withdrawn_at.is_some());
    assert_eq!(pull(one("하나") + gone).await, Taken::default());
    assert_eq!(pull(one("하나") + &two).await, Taken::default(), "what was taken back is so for good");
    assert!(reader.quarantined().await.is_empty());
}

async fn ids_that_change_make_no_second_post(world: World) {
    let at = Some(world.now().await);
    let reader = Reader::new(world, &["/feed"]).await;
    let pull = async |entries: String| reader.pull_this(Reply::new(200, atom(&entries))).await.expect("well");
    assert_eq!(pull(entry("urn:old", "하나", "https://p.example/1", at)).await.new, 1);
    assert_eq!(
        pull(entry("urn:new", "하나", "https://p.example/1", at)).await,
        Taken::default(),
        "the same under another id"
    );
    assert_eq!(
        pull(entry("urn:newer", "하나!", "https://p.example/1", at)).await,
        Taken { revised: 1, ..Taken::default() }
    );
    assert_eq!(pull(entry("", "하나!", "https://p.example/1", at)).await.new, 0, "and without any");
    assert_eq!(reader.only().await.1.source_id, "urn:old");
    // Without id and link: by title and text.
    let bare = |title: &str| entry("", title, "", at).replace("<link href=\"\"/>", "");
    assert_eq!(pull(bare("둘")).await.new, 1);
    assert_eq!(pull(bare("둘")).await.new, 0);
    // All of them lead to one page: those are posts of their own.
    let same = |id: &str| entry(id, &format!("소식 {id}"), "https://p.example/", at);
    assert_eq!(pull(same("a") + &same("b")).await.new, 2);
    assert_eq!(pull(same("c") + &same("a") + &same("b")).await.new, 1);
    assert_eq!(pull(same("d") + &same("c")).await.new, 1);
    assert_eq!(reader.posts().await.len(), 6);
}

async fn entries_without_a_date_keep_the_first_one(world: World) {
    let reader = Reader::new(world, &["/feed"]).await;
    let first = entry("urn:1", "날짜 없는 소식", "https://p.example/1", None);
    assert_eq!(reader.pull_this(Reply::new(200, atom(&first))).await, new(1));
    let (standing, post) = reader.only().await;
    assert!(standing.backfill_at.is_some(), "nobody knows how old it is");
    let seen_at = post.published_at;
    let second = entry("urn:2", "그 다음 소식", "https://p.example/2", None);
    assert_eq!(reader.pull_this(Reply::new(200, atom(&(second + &first)))).await, new(1));
    let posts = reader.posts().await;
    let of = |id: &str| posts.iter().find(|(_, post)| post.source_id == id).expect("there");
    assert!(of("urn:2").0.backfill_at.is_none(), "it has come since");
    assert_eq!((of("urn:1").0.revision, of("urn:1").1.published_at), (1, seen_at));
    // A date to come is no embargo: whoever shows it has published it.
    let now = reader.world.now().await;
    let early = entry("urn:3", "내일 소식", "https://p.example/3", Some(now.plus(DAY)));
    assert_eq!(reader.pull_this(Reply::new(200, atom(&early))).await, new(1));
    let posts = reader.posts().await;
    let post = &posts.iter().find(|(_, post)| post.source_id == "urn:3").expect("there").1;
    assert!(post.published_at <= reader.world.now().await);
}

async fn what_is_wrong_with_an_entry_costs_it_alone(world: World) {
    let at = Some(world.now().await);
    let reader = Reader::new(world, &["/feed"]).await;
    let long = entry("urn:long", &"가".repeat(1_001), "https://p.example/l", at);
    let good = entry("urn:good", "좋은 소식", "https://p.example/g", at);
    let bad_link = entry("urn:link", "이상한 링크", "javascript:alert(1)", at);
    let text = atom(&(long.clone() + &good + &bad_link));
    let expected = Taken { new: 2, quarantined: 1, ..Taken::default() };
    assert_eq!(reader.pull_this(Reply::new(200, text.clone())).await, Ok(expected));
    let row = reader.quarantined().await.remove(0);
    assert_eq!((row.reason.as_str(), row.path.as_str(), row.source.as_str()), ("too_large", "data.title", "partner"));
    assert_eq!(reader.pull_this(Reply::new(200, text)).await, Ok(Taken::default()), "it is told once");
    let posts = reader.posts().await;
    let linkless = &posts.iter().find(|(_, post)| post.source_id == "urn:link").expect("there").1;
    assert_eq!(linkless.url, None);
    let mended = long.replace(&"가".repeat(1_001), "짧은 제목");
    assert_eq!(reader.pull_this(Reply::new(200, atom(&mended))).await, new(1));
}

async fn our_own_comes_back_and_others_paths_are_kept(world: World) {
    let at = Some(world.now().await);
    let reader = Reader::new(world, &["/feed"]).await;
    let own = entry("tag:here.example,2026:post/abc", "우리 소식", "https://here.example/posts/abc", at);
    let other = entry("tag:there.example,2025:post/xyz", "그쪽 소식", "https://there.example/posts/xyz", at)
        .replace("<link", "<link rel=\"via\" href=\"https://cms.there.example/9\"/><link");
    let relayed = entry("tag:there.example,2025:post/uvw", "돌아온 소식", "https://there.example/posts/uvw", at)
        .replace("<link", "<allim:path>here.example:2026,there.example:2025</allim:path><link");
    let far = entry("tag:there.example,2025:post/far", "먼 소식", "https://there.example/posts/far", at)
        .replace("<link", "<allim:path>far.example:2024,there.example:2025</allim:path><link");
    let expected = Taken { new: 2, own: 2, ..Taken::default() };
    assert_eq!(reader.pull_this(Reply::new(200, atom(&(own + &other + &relayed + &far)))).await, Ok(expected));
    assert!(reader.quarantined().await.is_empty());
    let posts = reader.posts().await;
    let (standing, post) = posts.iter().find(|(_, post)| post.title.as_str() == "그쪽 소식").expect("there");
    assert_eq!(post.url.as_deref(), Some("https://cms.there.example/9"), "where it began");
    let id = standing.post_id.clone();
    let path = reader.world.store.read(move |tx| posts::path(tx, &id)).await.expect("read");
    assert_eq!(path, ["there.example:2025"]);
    let (_, far) = posts.iter().find(|(_, post)| post.title.as_str() == "먼 소식").expect("there");
    assert_eq!(far.path, ["far.example:2024", "there.example:2025"]);
}

async fn a_dripping_server_holds_up_no_other(world: World) {
    let server = Server::start().await;
    let at = world.now().await;
    let slow =
        Reply::new(200, atom(&entry("urn:s", "느린 소식", "https://p.example/s", Some(at)))).in_manner(Manner::Drip);
    server.say("/slow", slow);
    server.say("/fast", Reply::new(200, atom(&entry("urn:f", "빠른 소식", "https://p.example/f", Some(at)))));
    let feeds = vec![followed(&server.url("/slow")), followed(&server.url("/fast"))];
    let reader = Reader::with(world, server, feeds);
    let (end, stop) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(feed::run(reader.puller.clone(), stop));
    let both_asked = async {
        while reader.posts().await.is_empty() || reader.server.asked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), both_asked)
        .await
        .expect("the fast one is there while the slow one drips");
    assert_eq!(reader.only().await.1.title.as_str(), "빠른 소식");
    // An end in the middle of an answer waits for nobody.
    end.send(true).expect("it runs");
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("it ends").expect("well");
}

/// Two feeds of one source, each with a topic and an author of its own.
async fn two_feeds(world: World) -> Reader {
    let server = Server::start().await;
    let mut feeds = vec![followed(&server.url("/a")), followed(&server.url("/b"))];
    feeds[1].topics = vec!["notices".to_owned()];
    feeds[1].author = Some("다른 부서".to_owned());
    Reader::with(world, server, feeds)
}

/// What pulling all feeds came to, in their order.
async fn pull_all(reader: &Reader) -> Vec<Taken> {
    reader.world.clock.set(reader.world.now().await.plus(Duration::from_millis(5)));
    let pulled = reader.puller.pull_now("partner").await.expect("the store");
    pulled.into_iter().map(|(_, taken)| taken.expect("well")).collect()
}

async fn two_feeds_of_one_source_share_what_is_the_same_and_mix_nothing_else(world: World) {
    let at = Some(world.now().await);
    let reader = two_feeds(world).await;
    let say = |path: &str, entries: String| reader.server.say(path, Reply::new(200, atom(&entries)));
    let shared = |title: &str| entry("https://p.example/?p=1", title, "https://p.example/1", at);
    // The same page under a number of each feed's own; and one number for two things.
    let page = |id: &str| entry(id, "같은 쪽", "https://p.example/2", at);
    let own = |title: &str, link: &str| entry("1", title, link, at);
    say("/a", shared("함께 보는 소식") + &page("7") + &own("가의 첫째", "https://p.example/a1"));
    say("/b", shared("함께 보는 소식") + &page("8") + &own("나의 첫째", "https://p.example/b1"));
    let fresh = |new: usize| Taken { new, ..Taken::default() };
    assert_eq!(pull_all(&reader).await, [fresh(3), fresh(1)]);
    for _ in 0..3 {
        assert_eq!(pull_all(&reader).await, [Taken::default(); 2], "neither revises what is the other's");
    }
    let posts = reader.posts().await;
    assert!(posts.iter().all(|(standing, _)| standing.revision == 1), "{posts:?}");
    let of = |title: &str| &posts.iter().find(|(_, post)| post.title.as_str() == title).expect("there").1;
    assert_eq!((of("함께 보는 소식").topics[0].as_str(), of("나의 첫째").topics[0].as_str()), ("events", "notices"));
    assert_ne!(of("가의 첫째").source_id, of("나의 첫째").source_id);
    // The first revises what is its own; so does the second, under a number that the first has too.
    say("/a", shared("함께 보는 소식, 고침") + &own("가의 첫째", "https://p.example/a1"));
    say("/b", shared("함께 보는 소식, 고침") + &own("나의 첫째, 고침", "https://p.example/b1"));
    let revised = Taken { revised: 1, ..Taken::default() };
    assert_eq!(pull_all(&reader).await, [revised, revised]);
    let tombstone = "<at:deleted-entry ref=\"1\" when=\"2026-01-01T00:00:00Z\"/>";
    say("/a", tombstone.to_owned());
    say("/b", tombstone.to_owned());
    let withdrawn = Taken { withdrawn: 1, ..Taken::default() };
    assert_eq!(pull_all(&reader).await, [withdrawn, withdrawn]);
    assert_eq!(reader.posts().await.iter().filter(|(standing, _)| standing.withdrawn_at.is_some()).count(), 2);
    // The first has ended: what it had is the second's now.
    reader.server.say("/a", Reply::new(410, ""));
    say("/b", shared("함께 보는 소식, 또 고침"));
    let pulled = reader.puller.pull_now("partner").await.expect("the store");
    assert!(pulled[0].1.is_err() && pulled[1].1 == Ok(revised), "{pulled:?}");
    assert!(reader.quarantined().await.is_empty());
}

async fn two_feeds_that_are_pulled_at_once_have_each_post_once(world: World) {
    let at = Some(world.now().await);
    let reader = two_feeds(world).await;
    for path in ["/a", "/b"] {
        let all: String = (0..40)
            .map(|number| {
                // By one id everywhere, and by the page alone.
                let (id, page) = (format!("urn:p:{number}"), format!("https://p.example/{number}"));
                let id = if number % 2 == 0 { id } else { format!("{path}-{number}") };
                entry(&id, &format!("소식 {number}"), &page, at)
            })
            .collect();
        reader.server.say(path, Reply::new(200, atom(&all)));
    }
    let (end, stop) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(feed::run(reader.puller.clone(), stop));
    let (first, second) = (reader.puller.feeds[0].url.clone(), reader.puller.feeds[1].url.clone());
    let both = async {
        loop {
            let (first, second) = (first.clone(), second.clone());
            let look = move |tx: &mut allim::store::Tx<'_>| {
                Ok([allim::store::pulled::find(tx, &first)?, allim::store::pulled::find(tx, &second)?])
            };
            let feeds = reader.world.store.read(look).await.expect("read");
            if feeds.iter().all(|feed| feed.as_ref().is_some_and(|feed| feed.taken_at.is_some())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("in time");
    end.send(true).expect("it runs");
    running.await.expect("it ends");
    let posts = reader.posts().await;
    assert_eq!(posts.len(), 40);
    assert!(posts.iter().all(|(standing, _)| standing.revision == 1), "{posts:?}");
}

async fn a_feed_that_moves_keeps_its_posts(world: World) {
    let at = Some(world.now().await);
    let reader = Reader::new(world, &["/feed"]).await;
    let text = |scheme: &str| atom(&entry("1", "하나", &format!("{scheme}://p.example/1"), at));
    assert_eq!(reader.pull_this(Reply::new(200, text("http"))).await, new(1));
    let Reader { world, server, .. } = reader;
    let feeds = vec![followed(&server.url("/moved"))];
    let reader = Reader::with(world, server, feeds);
    reader.server.say("/moved", Reply::new(200, text("https")));
    assert_eq!(reader.pull().await, Ok(Taken { revised: 1, ..Taken::default() }));
    // Something else under that number is another post.
    let other = atom(&entry("1", "전혀 다른 소식", "https://p.example/other", at));
    let Reader { world, server, .. } = reader;
    let feeds = vec![followed(&server.url("/else"))];
    let reader = Reader::with(world, server, feeds);
    reader.server.say("/else", Reply::new(200, other));
    assert_eq!(reader.pull().await, new(1));
    assert_eq!(reader.posts().await.len(), 2);
}
