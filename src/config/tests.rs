use super::*;

/// The least that holds together.
const LEAST: &str = r#"
[instance]
state_dir = "state"
[site]
name = "연구원"
tag_authority = "example.org,2026"
[languages]
readers = ["ko", "en"]
[[topic]]
name = "events"
title = { ko = "행사", en = "Events" }
[[digest]]
name = "weekly"
title = "주간"
schedule = "0 9 * * MON"
zone = "Asia/Seoul"
[[sender]]
name = "news"
from = "소식"
address = "news@example.org"
list_id = "news.example.org"
[[intake.source]]
name = "cms"
"#;

fn parsed(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse(text, Path::new("allim.toml"), Path::new("."), environment).map_err(|e| e.to_string())
}

#[test]
fn the_least_holds_together_and_mail_goes_into_the_folder() {
    let config = parsed(LEAST, &[]).expect("holds together");
    let route = &config.routes[&("weekly".to_owned(), None)];
    assert_eq!(route, &("news".to_owned(), "email:folder".to_owned()));
}

#[test]
fn each_mistake_names_file_line_key_and_fix() {
    let cases = [
        ("schedule = \"0 9 * * MON\"", "schedule = \"0 9 * * 1\"", "allim.toml:15: digest[0].schedule: ", "MON"),
        ("zone = \"Asia/Seoul\"", "zone = \"Asia/Soul\"", "allim.toml:16: digest[0].zone: ", "Asia/Seoul"),
        ("\"ko\", \"en\"]", "\"ko\", \"english!\"]", "allim.toml:8: languages.readers[1]: ", "BCP 47"),
        ("news@example.org", "news.example.org", "allim.toml:20: sender[0].address: ", "@"),
        (
            "name = \"cms\"",
            "name = \"cms\"\ntopics_default = [\"news\"]",
            "allim.toml:24: intake.source[0].topics_default: ",
            "`news`",
        ),
        ("name = \"cms\"", "nam = \"cms\"", "allim.toml:23: ", "unknown field `nam`"),
        ("state_dir = \"state\"", "state_dir = 5", "allim.toml:3: ", "expected"),
        ("name = \"events\"", "name = \"all\"", "allim.toml:10: topic[0].name: ", "all topics"),
        (
            "[[intake.source]]",
            "[[sender.dkim]]\nselector = \"a b\"\nkey_file = \"k.pem\"\n[[intake.source]]",
            "allim.toml:23: sender[0].dkim[0].selector: ",
            "letters, digits and hyphens",
        ),
        (
            "[[intake.source]]",
            "[[sender.dkim]]\ndomain = \"회사.example\"\nselector = \"a\"\nkey_file = \"k.pem\"\n[[intake.source]]",
            "allim.toml:23: sender[0].dkim[0].domain: ",
            "xn--",
        ),
        (
            "[[intake.source]]",
            "[[sender.dkim]]\nselector = \"a\"\nkey_file = \"k.pem\"\n\
             [[sender.dkim]]\nselector = \"A\"\nkey_file = \"l.pem\"\n[[intake.source]]",
            "allim.toml:26: sender[0].dkim[1].selector: ",
            "twice",
        ),
        (
            "list_id = \"news.example.org\"",
            "list_id = \"news.example.org\"\nbounce_domain = \"bounce\"",
            "allim.toml:22: sender[0].bounce_domain: ",
            "bounce.example.org",
        ),
        (
            "[[intake.source]]",
            "[inbound]\nlisten = \"127.0.0.1:8024\"\n[[intake.source]]",
            "allim.toml:22: inbound.domains: ",
            "bounce_domain",
        ),
        (
            "[[intake.source]]",
            "[inbound]\nlisten = \"8024\"\ndomains = [\"b.example\"]\n[[intake.source]]",
            "allim.toml:23: inbound.listen: ",
            "127.0.0.1:8024",
        ),
        (
            "[[intake.source]]",
            "[web]\ntrusted_proxies = [\"::1\", \"10.0.0/8\"]\n[[intake.source]]",
            "allim.toml:23: web.trusted_proxies[1]: ",
            "10.0.0.0/8",
        ),
    ];
    for (from, to, place, fix) in cases {
        assert!(LEAST.contains(from), "{from}");
        let error = parsed(&LEAST.replace(from, to), &[]).expect_err(to);
        assert!(error.starts_with(place) && error.contains(fix), "{to}: {error}");
    }
}

#[test]
fn returned_mail_comes_to_the_bounce_domains_unless_others_are_named() {
    let sender = LEAST.replace("list_id", "bounce_domain = \"Bounce.Example.ORG\"\nlist_id");
    let listen = "\n[inbound]\nlisten = \"127.0.0.1:8024\"\n";
    let config = parsed(&format!("{sender}{listen}"), &[]).expect("holds together");
    assert_eq!(config.inbound_domains, ["bounce.example.org"]);
    assert_eq!(config.senders["news"].bounce_domain.as_deref(), Some("bounce.example.org"));
    let config = parsed(&format!("{sender}{listen}domains = [\"b.example\", \"a.example\"]\n"), &[]);
    assert_eq!(config.expect("holds together").inbound_domains, ["a.example", "b.example"]);
}

#[test]
fn a_relay_wants_an_https_url() {
    let relay = "\n[[relay]]\nname = \"main\"\nhost = \"mail.example.org\"\nport = 587\ntls = \"starttls\"\n";
    let error = parsed(&format!("{LEAST}{relay}"), &[]).expect_err("no URL");
    assert!(error.contains("web.public_url"), "{error}");
    let web = "[web]\npublic_url = \"http://allim.example.org\"\n";
    let error = parsed(&format!("{LEAST}{relay}{web}"), &[]).expect_err("not https");
    assert!(error.contains("https"), "{error}");
    let web = "[web]\npublic_url = \"https://allim.example.org/\"\n";
    let config = parsed(&format!("{LEAST}{relay}{web}"), &[]).expect("https");
    assert_eq!(config.site.public_url.as_deref(), Some("https://allim.example.org"));
    assert_eq!(config.routes[&("immediate".to_owned(), None)].1, "email:main");
}

#[test]
fn signatures_belong_to_the_sender_above_them() {
    let dkim = "[[sender.dkim]]\nselector = \"S1\"\nkey_file = \"k.pem\"\n[[sender.dkim]]\ndomain = \"example.net\"\n\
                selector = \"s1\"\nkey_file = \"/k.pem\"\n[[intake.source]]";
    let config = parsed(&LEAST.replace("[[intake.source]]", dkim), &[]).expect("holds together");
    let shown: Vec<_> =
        config.dkim["news"].iter().map(|d| (d.domain.as_str(), d.selector.as_str(), d.key_file.to_str())).collect();
    assert_eq!(shown, [("example.org", "s1", Some("state/k.pem")), ("example.net", "s1", Some("/k.pem"))]);
}

#[test]
fn the_environment_lies_over_the_file() {
    let config = parsed(LEAST, &[("ALLIM__WEB__LISTEN", "127.0.0.1:9"), ("ALLIM__SEND__CHUNK", "7")]).expect("fits");
    assert_eq!((config.file.web.listen.as_str(), config.file.send.chunk), ("127.0.0.1:9", 7));
    let error = parsed(LEAST, &[("ALLIM__WEB__LISTN", "x")]).expect_err("no such key");
    assert!(error.contains("listn"), "{error}");
}

const TWO_RELAYS: &str = r#"
[[relay]]
name = "one"
host = "one.example.org"
port = 587
tls = "starttls"
[[relay]]
name = "two"
host = "two.example.org"
port = 587
tls = "starttls"
[web]
public_url = "https://allim.example.org"
"#;

fn with_relays(sender: &str, more: &str) -> Result<Config, String> {
    let list_id = "list_id = \"news.example.org\"";
    parsed(&format!("{}{TWO_RELAYS}{more}", LEAST.replace(list_id, &format!("{list_id}\n{sender}"))), &[])
}

#[test]
fn several_relays_are_one_way_out() {
    let config = with_relays("relays = { two = 1, one = 3 }", "").expect("holds together");
    assert_eq!(config.groups.len(), 1);
    assert_eq!(config.groups[0].name, "email:one+two");
    assert_eq!(config.groups[0].relays, [("one".to_owned(), 3), ("two".to_owned(), 1)]);
    assert_eq!(config.routes[&("immediate".to_owned(), None)].1, "email:one+two");
}

#[test]
fn large_hosts_have_a_pace_that_a_table_replaces() {
    let classes = |more: &str| with_relays("", more).expect("holds together").classes;
    let of = |classes: &[ways::Class], name: &str| classes.iter().find(|class| class.name == name).cloned();
    let least = classes("");
    assert!(of(&least, "daum.net").is_some_and(|class| class.domains.contains(&"hanmail.net".to_owned())));
    assert_eq!(of(&least, "gmail.com").and_then(|class| class.per_second), Some(50));
    let own = classes("[[pace]]\nname = \"korea\"\ndomains = [\"NAVER.com\", \"hanmail.net\"]\n");
    assert!(of(&own, "naver.com").is_none(), "its one domain is taken");
    assert_eq!(
        of(&own, "korea").map(|class| class.domains),
        Some(vec!["naver.com".to_owned(), "hanmail.net".to_owned()])
    );
    assert!(of(&own, "daum.net").is_some_and(|class| !class.domains.contains(&"hanmail.net".to_owned())));
    assert_eq!(classes("[send]\npace_defaults = false\n"), []);
}

#[test]
fn mistakes_about_relays_and_paces_name_key_and_fix() {
    let pace = |lines: &str| format!("[[pace]]\nname = \"a\"\n{lines}\n");
    let twice = format!("{}{}", pace("domains = [\"a.example\"]"), pace("domains = [\"b.example\"]"));
    let shared = pace("domains = [\"a.example\"]\n[[pace]]\nname = \"b\"\ndomains = [\"A.example\"]");
    let warm = |lines: &str| TWO_RELAYS.replace("[web]", &format!("[relay.warm_up]\n{lines}\n[web]"));
    let cases = [
        ("relays = { one = 1, three = 1 }", String::new(), "sender[0].relays.three: ", "no [[relay]]"),
        ("relays = { one = 0, two = 0 }", String::new(), "sender[0].relays: ", "at least one relay a weight"),
        ("relays = { one = -1 }", String::new(), "sender[0].relays.one: ", "from 0 to"),
        ("relay = \"one\"\nrelays = { two = 1 }", String::new(), "sender[0].relay: ", "leave it out"),
        ("relay = \"three\"", String::new(), "sender[0].relay: ", "no [[relay]]"),
        ("", twice, "pace[1].name: ", "twice"),
        ("", shared, "pace[1].domains[0]: ", "one pace"),
        ("", pace("domains = []"), "pace[0].domains: ", "name at least one"),
        ("", pace("domains = [\"a b\"]"), "pace[0].domains[0]: ", "is no domain"),
        ("", pace("domains = [\"a.example\"]\nper_second = -5"), "pace[0].per_second: ", "at least 1"),
        ("", pace("domains = [\"a.example\"]\nconnections = 0"), "pace[0].connections: ", "at least 1"),
    ];
    for (sender, more, place, fix) in cases {
        let error = with_relays(sender, &more).expect_err(place);
        assert!(error.contains(place) && error.contains(fix), "{place}: {error}");
    }
    let relays = [
        (TWO_RELAYS.replace("\"two\"", "\"one\""), "relay[1].name: ", "twice"),
        (TWO_RELAYS.replace("[web]", "per_second = 0\n[web]"), "relay[1].per_second: ", "at least 1"),
        (TWO_RELAYS.replace("[web]", "messages_per_connection = 0\n[web]"), "messages_per_connection: ", "at least 1"),
        (warm("since = \"soon\"\nfrom_per_day = 5"), "relay[1].warm_up.since: ", "2026-11-01"),
        (warm("since = \"2026-11-01\"\nfrom_per_day = 0"), "relay[1].warm_up.from_per_day: ", "at least 1"),
        (warm("since = \"2026-11-01\"\nfrom_per_day = 5\nfactor = 0.5"), "relay[1].warm_up.factor: ", "above 1"),
    ];
    for (text, place, fix) in relays {
        let error = parsed(&format!("{LEAST}{text}"), &[]).expect_err(place);
        assert!(error.contains(place) && error.contains(fix), "{place}: {error}");
    }
}
