//! The allims that a post came through, oldest first: by it an installation knows its own posts again when they come back from a
//! partner, and tells no partner what that one has seen. It travels as the attribute `allimpath` of events, and in our feeds.

use std::fmt;

/// The name of the attribute.
pub const ATTRIBUTE: &str = "allimpath";
/// Installations in one path at most: what has gone through more is going round.
pub const LEN_MAX: usize = 16;
/// Octets of the written form at most: sixteen times the longest name in the DNS would be no honest path.
const BYTES_MAX: usize = 2_048;
/// Octets of one name at most: a domain name and a date.
const NAME_LEN_MAX: usize = 264;

/// Why a path can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPath;

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be at most {LEN_MAX} names such as `example.org:2026`, parted by commas, oldest first")
    }
}

/// What an installation is called in a path: its tag authority (RFC 4151: a domain and a date), with a colon for the comma, which parts
/// the names.
#[must_use]
pub fn name_of(tag_authority: &str) -> String {
    tag_authority.replacen(',', ":", 1).to_ascii_lowercase()
}

/// Reads the written form. Names with their comma are read too.
///
/// # Errors
/// [`BadPath`].
pub fn read(text: &str) -> Result<Vec<String>, BadPath> {
    if text.len() > BYTES_MAX {
        return Err(BadPath);
    }
    let mut path: Vec<String> = Vec::new();
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        match path.last_mut() {
            Some(last) if is_date(part) && !last.contains(':') => *last = format!("{last}:{part}"),
            _ => path.push(part.to_ascii_lowercase()),
        }
    }
    let fits = path.len() <= LEN_MAX && path.iter().all(|name| is_name(name));
    if fits { Ok(path) } else { Err(BadPath) }
}

/// The written form.
#[must_use]
pub fn written(path: &[String]) -> String {
    path.join(",")
}

/// The name of the installation that minted a `tag:` URI (RFC 4151), such as the id of an entry in an allim's feed.
#[must_use]
pub fn of_tag(uri: &str) -> Option<String> {
    let (authority, _) = uri.strip_prefix("tag:")?.split_once(':')?;
    let name = name_of(authority);
    is_name(&name).then_some(name)
}

fn is_name(text: &str) -> bool {
    let Some((domain, date)) = text.split_once(':') else { return false };
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    !domain.is_empty() && text.len() <= NAME_LEN_MAX && domain.chars().all(fits) && is_date(date)
}

/// `2026`, `2026-05` or `2026-05-01`.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &&str, len: usize| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() <= 3 && is_number(&parts[0], 4) && parts[1..].iter().all(|part| is_number(part, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        let path = vec!["a.example:2026".to_owned(), "b.example:2025-03-01".to_owned(), "c.example:2024-02".to_owned()];
        assert_eq!(read(&written(&path)), Ok(path.clone()));
        assert_eq!(read("A.example,2026, b.example:2025-03-01 c.example,2024-02"), Ok(path));
        assert_eq!((read(""), name_of("Example.org,2026").as_str()), (Ok(Vec::new()), "example.org:2026"));
        let long = vec!["a.example:2026"; LEN_MAX + 1].join(",");
        for bad in ["a.example", "2026", "a.example:2026,2027", "<a>:2026", "a.example:26", &long, &"a".repeat(3_000)] {
            assert_eq!(read(bad), Err(BadPath), "{bad}");
        }
    }

    #[test]
    fn the_installation_that_minted_a_tag_uri() {
        assert_eq!(of_tag("tag:Example.org,2026:post/abc").as_deref(), Some("example.org:2026"));
        for other in ["https://example.org/", "tag:example.org:post", "tag:example.org,2026", "urn:uuid:1"] {
            assert_eq!(of_tag(other), None, "{other}");
        }
    }
}
