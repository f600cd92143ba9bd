use super::*;
use crate::domain::public_address::Network;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn rules(own: &[&str]) -> Rules {
    Rules { own: own.iter().map(|text| Network::parse(text).unwrap()).collect(), ..Rules::default() }
}

#[test]
fn what_leads_inward_is_refused_however_it_is_spelled() {
    let inward = [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://169.254.169.254/latest/",
        "https://0/",
        "https://１２７.０.０.１/",
    ];
    for url in inward {
        assert_eq!(rules(&[]).check(url), Err(Refused::Private), "{url}");
    }
    assert_eq!(rules(&[]).check("https://example.org/a?b=c"), Ok(()));
    assert_eq!(rules(&[]).check("https://8.8.8.8/"), Ok(()));
    let odd = [
        ("http://example.org/", Refused::Scheme),
        ("ftp://example.org/", Refused::Scheme),
        ("file:///etc/passwd", Refused::Scheme),
        ("gopher://example.org/", Refused::Scheme),
        ("https://example.org:22/", Refused::Port),
        ("https://user@example.org/", Refused::Credentials),
        ("https://:secret@example.org/", Refused::Credentials),
        ("https://example.org/#part", Refused::Fragment),
        ("//example.org/", Refused::NoUrl),
        ("https://", Refused::NoUrl),
        ("https://[::1", Refused::NoUrl),
    ];
    for (url, refused) in odd {
        assert_eq!(rules(&[]).check(url), Err(refused), "{url}");
    }
    assert_eq!(rules(&[]).check(&format!("https://example.org/{}", "a".repeat(URL_LEN))), Err(Refused::NoUrl));
}

const URL_LEN: usize = 8_192;

#[test]
fn own_networks_may_be_asked_at_any_port_and_nobody_elses() {
    let own = rules(&["127.0.0.0/8"]);
    assert_eq!(own.check("http://127.0.0.1:8080/hook"), Ok(()));
    assert_eq!(own.check("http://8.8.8.8:8080/hook"), Err(Refused::Scheme));
    assert_eq!(own.check("https://10.0.0.1/"), Err(Refused::Private));
    let denied = Rules { denied: vec![Network::parse("8.8.0.0/16").unwrap()], ..rules(&[]) };
    assert_eq!((denied.check("https://8.8.8.8/"), denied.check("https://8.9.8.8/")), (Err(Refused::Private), Ok(())));
    let plain = Rules { allows_http: true, ..rules(&[]) };
    assert_eq!(
        (plain.check("http://example.org/"), plain.check("http://example.org:8080/")),
        (Ok(()), Err(Refused::Port))
    );
}

/// Answers one request with these words.
async fn answering(words: &'static [u8]) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4_096];
        let count = stream.read(&mut heard).await.unwrap();
        heard.truncate(count);
        let _ = stream.write_all(words).await;
        heard
    });
    (format!("http://localhost:{port}/hook"), asked)
}

fn get(url: &str) -> Call<'_> {
    Call { method: Method::GET, url, headers: Vec::new(), body: Vec::new(), answer_max: 10 }
}

#[tokio::test]
async fn a_name_that_resolves_inward_is_not_asked() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (url, _asked) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let guard = Guard::new(Rules { allows_http: true, ports: vec![port(&url)], ..Rules::default() }, "allim").unwrap();
    // The port is listed and the scheme allowed: what stands in the way is the address.
    let refused = guard.call(get(&url)).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(Refused::Private)), "{refused:?}");
    let guard = Guard::new(rules(&["10.0.0.0/8"]), "allim").unwrap();
    let refused = guard.call(get(&url)).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(Refused::Private)), "{refused:?}");
}

fn port(url: &str) -> u16 {
    url::Url::parse(url).unwrap().port().unwrap()
}

#[tokio::test]
async fn answers_have_an_end_and_no_redirect_is_followed() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let guard = Guard::new(rules(&["127.0.0.0/8", "::1"]), "allim/1").unwrap();
    let (url, asked) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n01234567890123456789").await;
    let answer = guard.call(get(&url)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice(), answer.is_cut), (200, &b"0123456789"[..], true));
    assert!(String::from_utf8(asked.await.unwrap()).unwrap().contains("user-agent: allim/1"));
    let (url, _asked) = answering(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let answer = guard.call(get(&url)).await.unwrap();
    assert_eq!((answer.status, answer.retry_at(UnixMillis(0))), (302, Some(UnixMillis(120_000))));
    let (url, _asked) = answering(b"").await;
    assert!(matches!(guard.call(get(&url)).await, Err(Failure::Lost(_))));
    assert!(matches!(guard.call(get("http://127.0.0.1:9/")).await, Err(Failure::Unreachable(_))));
}

#[test]
fn a_date_to_wait_for_is_read() {
    let answer = |text: &str| Answer {
        status: 503,
        body: b"busy\r\n  now".to_vec(),
        is_cut: false,
        is_broken: false,
        headers: HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]),
    };
    let at = |text: &str| answer(text).retry_at(UnixMillis(1_000));
    assert_eq!(at("Thu, 01 Jan 1970 00:01:00 GMT"), Some(UnixMillis(60_000)));
    assert_eq!((at("5"), at("soon"), at("-1")), (Some(UnixMillis(6_000)), None, None));
    assert_eq!(answer("5").words(), "503 busy now");
}
