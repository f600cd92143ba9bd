//! Macros in the names of SPF terms (RFC 7208 section 7).

use std::net::IpAddr;

/// What macros speak of.
pub(super) struct Scene<'a> {
    pub sender: &'a str,
    pub sender_domain: &'a str,
    pub domain: &'a str,
    pub from: Option<IpAddr>,
}

/// Longest name; of a longer one labels are cut off at its beginning (section 7.3).
const NAME_LEN_MAX: usize = 253;

/// Whether every percent sign begins a macro that there is.
pub(super) fn is_well_formed(text: &str) -> bool {
    walk(text, |_| Some(String::new())).is_some()
}

/// A name with its macros put in, in lower case and without a dot at its end. Nothing where it speaks of an address and
/// there is none to speak of.
pub(super) fn expand(text: &str, scene: &Scene<'_>) -> Option<String> {
    let name = walk(text, |letter| value(letter, scene))?;
    let mut name = name.trim_end_matches('.').to_ascii_lowercase();
    while name.len() > NAME_LEN_MAX {
        name = name.split_once('.')?.1.to_owned();
    }
    Some(name)
}

fn walk(text: &str, value: impl Fn(char) -> Option<String>) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let next = rest.chars().next()?;
        rest = &rest[next.len_utf8()..];
        match next {
            '%' => out.push('%'),
            '_' => out.push(' '),
            '-' => out.push_str("%20"),
            '{' => {
                let (inner, after) = rest.split_once('}')?;
                let letter = inner.chars().next().filter(char::is_ascii_alphabetic)?.to_ascii_lowercase();
                if !"slodiphv".contains(letter) {
                    return None;
                }
                out.push_str(&transformed(&value(letter)?, &inner[1..])?);
                rest = after;
            }
            _ => return None,
        }
    }
    out.push_str(rest);
    Some(out)
}

/// The last `digits` parts, reversed if an `r` stands there, cut at the given characters.
fn transformed(value: &str, how: &str) -> Option<String> {
    let digits_len = how.find(|c: char| !c.is_ascii_digit()).unwrap_or(how.len());
    let (digits, rest) = how.split_at(digits_len);
    let count = if digits.is_empty() { usize::MAX } else { digits.parse().ok().filter(|count| *count > 0)? };
    let reversed = rest.strip_prefix(['r', 'R']);
    let cuts = reversed.unwrap_or(rest);
    if !cuts.chars().all(|c| ".-+,/_=".contains(c)) {
        return None;
    }
    let is_cut = |c: char| if cuts.is_empty() { c == '.' } else { cuts.contains(c) };
    let mut parts: Vec<&str> = value.split(is_cut).collect();
    if reversed.is_some() {
        parts.reverse();
    }
    Some(parts[parts.len().saturating_sub(count)..].join("."))
}

fn value(letter: char, scene: &Scene<'_>) -> Option<String> {
    Some(match letter {
        's' => scene.sender.to_owned(),
        'l' => scene.sender.rsplit_once('@').map_or("postmaster", |(local, _)| local).to_owned(),
        'o' | 'h' => scene.sender_domain.to_owned(),
        'd' => scene.domain.to_owned(),
        'i' => match scene.from?.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let nibbles = address.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
                nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
            }
        },
        'v' => if scene.from?.to_canonical().is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        // `p` costs look-ups and shouldn't be used (section 7.3): what a receiver may put there in its stead.
        'p' => scene.from.map(|_| "unknown".to_owned())?,
        _ => return None,
    })
}
