//! The links by which readers pass a post on. Which there are is data: `share.toml`, with an operator's tables laid over it.

use super::site::LocalText;
use crate::domain::language::Language;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const BUILT_IN: &str = include_str!("share.toml");

/// What may stand in an address, to be filled in.
const PLACES: [&str; 4] = ["{url}", "{title}", "{text}", "{server}"];
/// Longest text on a link in place of a picture, in characters.
const ICON_LEN_MAX: usize = 8;
/// Longest name of a host (RFC 1035 section 2.3.4).
const HOST_LEN_MAX: usize = 253;

/// Whether a link is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Shown.
    #[default]
    On,
    /// Not shown.
    Off,
    /// Its service has closed: not shown, and kept as a name that an operator may point elsewhere.
    Retired,
}

/// `[[share]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareTable {
    /// Tells rows apart.
    pub name: String,
    /// What readers see.
    #[serde(default)]
    pub title: Option<LocalText>,
    /// The address, with places to fill in.
    #[serde(default)]
    pub url: Option<String>,
    /// A few characters that stand where others have a picture.
    #[serde(default)]
    pub icon: Option<String>,
    /// Whether it is shown.
    #[serde(default)]
    pub state: State,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tables {
    share: Vec<ShareTable>,
}

/// What is wrong with an operator's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadShare {
    /// Which, from 0.
    pub index: usize,
    /// Its key.
    pub field: &'static str,
    /// What would be right.
    pub reason: String,
}

/// A link that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLink {
    /// Its name.
    pub name: String,
    title: LocalText,
    icon: String,
    url: String,
}

/// What a link says of a post.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// Its address.
    pub url: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its summary.
    pub text: &'a str,
}

/// The links that are shown, ours in their order and then an operator's own.
///
/// # Errors
/// [`BadShare`] for the first table of `own` that can't be.
pub fn links(own: &[ShareTable]) -> Result<Vec<ShareLink>, BadShare> {
    // `the_built_in_table_can_be_read` holds that it can.
    let ours: Vec<ShareTable> = toml::from_str::<Tables>(BUILT_IN).map(|tables| tables.share).unwrap_or_default();
    let mut rows: Vec<(Option<usize>, ShareTable)> = ours.into_iter().map(|table| (None, table)).collect();
    for (index, table) in own.iter().enumerate() {
        match rows.iter_mut().find(|(_, row)| row.name == table.name) {
            Some((Some(_), _)) => {
                return Err(BadShare { index, field: "name", reason: format!("`{}` stands here twice", table.name) });
            }
            Some((by, row)) => {
                *by = Some(index);
                let (title, url, icon) = (table.title.clone(), table.url.clone(), table.icon.clone());
                *row = ShareTable {
                    name: table.name.clone(),
                    title: title.or(row.title.take()),
                    url: url.or(row.url.take()),
                    icon: icon.or(row.icon.take()),
                    state: table.state,
                };
            }
            None => rows.push((Some(index), table.clone())),
        }
    }
    let mut links = Vec::new();
    for (index, row) in rows {
        let index = index.unwrap_or_default();
        let is_on = row.state == State::On;
        let link = link(row).map_err(|(field, reason)| BadShare { index, field, reason })?;
        links.extend(link.filter(|_| is_on));
    }
    Ok(links)
}

/// Also what isn't shown is looked at: it may be shown one day.
fn link(row: ShareTable) -> Result<Option<ShareLink>, (&'static str, String)> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if row.name.is_empty() || !row.name.chars().all(fits) {
        return Err(("name", format!("`{}` is not a name; use a-z, 0-9, - and _", row.name)));
    }
    let icon = row.icon.unwrap_or_default();
    if icon.chars().count() > ICON_LEN_MAX {
        return Err(("icon", format!("write at most {ICON_LEN_MAX} characters")));
    }
    let Some(url) = row.url else {
        let reason = "is needed for a link that is shown, such as `https://example.org/share?url={url}&title={title}`";
        return if row.state == State::On { Err(("url", reason.to_owned())) } else { Ok(None) };
    };
    check(&url).map_err(|reason| ("url", reason))?;
    let title = row.title.unwrap_or_else(|| LocalText::same(row.name.clone()));
    Ok(Some(ShareLink { name: row.name, title, icon, url }))
}

fn check(template: &str) -> Result<(), String> {
    let bare = PLACES.iter().fold(template.to_owned(), |text, place| text.replace(place, ""));
    if bare.contains(['{', '}', '<', '>', '"', ' ']) || bare.chars().any(char::is_control) {
        return Err(format!("only these places are filled in: {}", PLACES.join(", ")));
    }
    if !template.contains("{url}") {
        return Err("must hold {url}, the address of the post".to_owned());
    }
    if template == "{url}" {
        return Ok(());
    }
    let rest = template.strip_prefix("https://").or_else(|| template.strip_prefix("http://"));
    let Some(rest) = rest else {
        return match template.strip_prefix("mailto:") {
            Some(rest) if !rest.contains("{server}") => Ok(()),
            _ => Err("must begin with https://, http:// or mailto:, or be {url} alone".to_owned()),
        };
    };
    let (host, path) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let is_asked = host == "{server}";
    // A value of the post may not choose where a link leads.
    if (!is_asked && host.contains('{')) || host.is_empty() || path.contains("{server}") {
        return Err("the host may be a name or {server}, which may stand nowhere else".to_owned());
    }
    Ok(())
}

impl ShareLink {
    /// What readers see.
    #[must_use]
    pub fn title(&self, reader: &Language) -> &str {
        self.title.get(reader)
    }

    /// A few characters in the place of a picture.
    #[must_use]
    pub fn icon(&self) -> &str {
        &self.icon
    }

    /// Whether it is no link, but the address itself to be copied.
    #[must_use]
    pub fn is_field(&self) -> bool {
        self.url == "{url}"
    }

    /// Whether the reader is asked for a server first.
    #[must_use]
    pub fn asks_server(&self) -> bool {
        self.url.contains("{server}")
    }

    /// Where it leads. `server` is one that [`server`] read, for those links that ask for it.
    #[must_use]
    pub fn href(&self, shared: Shared<'_>, server: &str) -> String {
        let (mut out, mut rest) = (String::with_capacity(self.url.len() + shared.url.len() * 2), self.url.as_str());
        // One pass, so that a title with `{url}` in it stays what it is.
        while let Some((before, place, after)) = super::words::place(rest) {
            out.push_str(before);
            match place {
                "url" => encode(shared.url, &mut out),
                "title" => encode(shared.title, &mut out),
                "text" => encode(shared.text, &mut out),
                "server" => out.push_str(server),
                _ => {}
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// Everything but what RFC 3986 section 2.3 leaves alone, so that no value can begin another parameter.
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The host that a reader means by `mastodon.social`, `https://mastodon.social/` or `@me@mastodon.social`.
#[must_use]
pub fn server(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) if name.contains('.') && name.len() <= HOST_LEN_MAX => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: Shared<'_> =
        Shared { url: "https://a.example/posts/1", title: "물 & \"도시\" {url} #1+1", text: "한\n글" };

    fn own(text: &str) -> Vec<ShareTable> {
        toml::from_str::<Tables>(text).expect("tables").share
    }

    fn names(links: &[ShareLink]) -> Vec<&str> {
        links.iter().map(|link| link.name.as_str()).collect()
    }

    #[test]
    fn the_built_in_table_can_be_read() {
        assert!(own(BUILT_IN).len() > 12);
        let links = links(&[]).expect("links");
        assert_eq!(
            names(&links),
            [
                "x",
                "facebook",
                "linkedin",
                "mastodon",
                "bluesky",
                "threads",
                "kakaostory",
                "naver-blog",
                "naver-band",
                "line",
                "pinboard",
                "email",
                "copy"
            ]
        );
        let href = |name: &str| links.iter().find(|link| link.name == name).expect("a link").href(POST, "m.example");
        let title = "%EB%AC%BC%20%26%20%22%EB%8F%84%EC%8B%9C%22%20%7Burl%7D%20%231%2B1";
        let url = "https%3A%2F%2Fa.example%2Fposts%2F1";
        assert_eq!(href("x"), format!("https://x.com/intent/post?text={title}&url={url}"));
        assert_eq!(href("mastodon"), format!("https://m.example/share?text={title}%20{url}"));
        assert_eq!(href("email"), format!("mailto:?subject={title}&body=%ED%95%9C%0A%EA%B8%80%0A%0A{url}"));
        for link in links.iter().filter(|link| !link.is_field()) {
            let parsed = url::Url::parse(&link.href(POST, "m.example")).expect("a URL");
            assert!(["https", "mailto"].contains(&parsed.scheme()), "{parsed}");
        }
    }

    #[test]
    fn an_operators_table_replaces_a_row_in_its_place() {
        let tables = own("[[share]]\nname = \"facebook\"\nstate = \"off\"\n\
             [[share]]\nname = \"delicious\"\nurl = \"https://links.example.org/add?u={url}\"\n\
             [[share]]\nname = \"library\"\nurl = \"https://lib.example.org/?u={url}\"\ntitle = \"Library\"");
        let links = links(&tables).expect("links");
        let names = names(&links);
        assert!(!names.contains(&"facebook") && !names.contains(&"cyworld"));
        assert_eq!(names[names.len() - 4..], ["delicious", "email", "copy", "library"]);
        let delicious = &links[links.len() - 4];
        let english = Language::parse("en").expect("a tag");
        assert_eq!((delicious.title(&english), delicious.icon()), ("Delicious", "d"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        for (table, field) in [
            ("name = \"cyworld\"", "url"),
            ("name = \"a b\"\nurl = \"https://a.example/{url}\"", "name"),
            ("name = \"a\"\nurl = \"javascript:alert({url})\"", "url"),
            ("name = \"a\"\nurl = \"https://{title}/?u={url}\"", "url"),
            ("name = \"a\"\nurl = \"https://a.example/?u={link}\"", "url"),
            ("name = \"a\"\nurl = \"https://a.example/\"", "url"),
            ("name = \"a\"\nurl = \"https://a.example/?u={url}&s={server}\"", "url"),
            ("name = \"a\"\nurl = \"https://a.example/{url}\"\nicon = \"much too long\"", "icon"),
            ("name = \"a\"\nurl = \"https://a.example/{url}\"\n[[share]]\nname = \"a\"\nstate = \"off\"", "name"),
        ] {
            let refused = links(&own(&format!("[[share]]\n{table}"))).expect_err("a mistake");
            assert_eq!(refused.field, field, "{table}: {refused:?}");
        }
    }

    #[test]
    fn a_server_is_a_host_and_nothing_else() {
        let read = |text: &str| server(text).unwrap_or_default();
        for text in ["mastodon.social", " https://Mastodon.social/ ", "@me@mastodon.social", "me@mastodon.social"] {
            assert_eq!(read(text), "mastodon.social", "{text}");
        }
        assert_eq!(read("한글.kr"), "xn--bj0bj06e.kr");
        for text in [
            "",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "a.example/path",
            "a.example:80",
            "a.example?x",
            "a b.c",
            "javascript:x.y",
        ] {
            assert_eq!(server(text), None, "{text}");
        }
    }
}
