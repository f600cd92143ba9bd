//! Which stretches of a text X takes for addresses: as twitter-text does (`extractUrl`, `validUrlPath`, `validUrlQueryChars`), but that
//! any last label of letters counts as a top-level domain, of which it keeps a list.

use std::ops::Range;

/// What X makes a link of.
pub(super) struct Address {
    /// Where it stands.
    pub range: Range<usize>,
    /// Whether X surely does: it names its scheme, or its last label is one that is known here.
    pub is_sure: bool,
}

/// Generic top-level domains that names of hosts are written with. Two letters are a country's.
const GENERIC: [&str; 16] = [
    "com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "name", "museum", "app", "dev", "asia", "news",
    "online",
];

/// Addresses in their order.
pub(super) fn addresses(text: &str) -> Vec<Address> {
    let mut found: Vec<Address> = Vec::new();
    let mut from = 0;
    while let Some((at, host)) = next_host(text, from) {
        let has_scheme = at < host;
        let Some(host_len) = host_len(&text[host..], has_scheme) else {
            // Nothing begins within a label: the next one follows a sign.
            from = host + text[host..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len() - host);
            continue;
        };
        let mut end = host + host_len;
        let top = text[host..end].rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        end += port_len(&text[end..]);
        end += path_len(&text[end..]);
        end += query_len(&text[end..]);
        let is_sure = has_scheme || top.len() == 2 || GENERIC.contains(&top.as_str());
        found.push(Address { range: at..end, is_sure });
        from = end;
    }
    found
}

/// The next place where an address may begin, and where its host does.
fn next_host(text: &str, from: usize) -> Option<(usize, usize)> {
    for (offset, c) in text[from..].char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        let at = from + offset;
        let before = text[..at].chars().next_back();
        let is_free = before.is_none_or(|c| !c.is_ascii_alphanumeric() && !matches!(c, '@' | '＠' | '$' | '#' | '＃'));
        if !is_free {
            continue;
        }
        if let Some(scheme) = ["https://", "http://"].into_iter().find(|scheme| text[at..].starts_with(scheme)) {
            return Some((at, at + scheme.len()));
        }
        // Without a scheme it is of Latin letters, and begins after none of these.
        if c.is_ascii() && !matches!(before, Some('-' | '_' | '.' | '/')) {
            return Some((at, at));
        }
    }
    None
}

/// The name of a host: labels of letters, digits and hyphens in any script, up to a last one of Latin letters or of another script.
fn host_len(text: &str, has_scheme: bool) -> Option<usize> {
    let of_name = |c: char| if has_scheme { c.is_alphanumeric() } else { c.is_ascii_alphanumeric() } || matches!(c, '-' | '_' | '.');
    let name = &text[..text.find(|c| !of_name(c)).unwrap_or(text.len())];
    let mut best = None;
    for (dot, _) in name.match_indices('.').filter(|(dot, _)| *dot > 0 && !name[..*dot].ends_with('.')) {
        let label = &name[dot + 1..];
        let letters = label.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(label.len());
        let after = text[dot + 1 + letters..].chars().next();
        // What follows a domain is no Latin letter, digit or sign that would go on with it; a letter of another script is the next word.
        if letters >= 2 && after.is_none_or(|c| !c.is_ascii_digit() && !matches!(c, '-' | '_' | '@' | '+')) {
            best = Some(dot + 1 + letters);
        }
    }
    best
}

fn port_len(text: &str) -> usize {
    let Some(digits) = text.strip_prefix(':') else { return 0 };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 { 0 } else { 1 + count }
}

/// A path goes on to the last character that may end one, or to a closing bracket.
fn path_len(text: &str) -> usize {
    if !text.starts_with('/') {
        return 0;
    }
    let (mut at, mut end) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        if c == '(' {
            let Some(length) = balanced_len(&text[at..]) else { break };
            at += length;
            end = at;
        } else if of_path(c) {
            at += c.len_utf8();
            if ends_path(c) {
                end = at;
            }
        } else {
            break;
        }
    }
    end
}

/// Brackets with something in them, one level deep within each other.
fn balanced_len(text: &str) -> Option<usize> {
    let (mut depth, mut is_empty) = (0, true);
    for (at, c) in text.char_indices() {
        match c {
            '(' if depth < 2 => depth += 1,
            ')' if is_empty => return None,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            c if of_path(c) => is_empty = false,
            _ => return None,
        }
    }
    None
}

fn query_len(text: &str) -> usize {
    if !text.starts_with('?') {
        return 0;
    }
    let of_query = |c: char| c.is_ascii_alphanumeric() || "!?*'@();:&=+$/%#[]-_.,~|".contains(c);
    let run = &text[1..];
    let run = &run[..run.find(|c| !of_query(c)).unwrap_or(run.len())];
    let last = run.rfind(|c: char| c.is_ascii_alphanumeric() || "-_&=#/".contains(c));
    last.map_or(0, |last| 1 + last + 1)
}

fn of_path(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit() || "!*';:=+,.$/%#[]-–_~@|&".contains(c)
}

fn ends_path(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit() || "+-=_#/".contains(c)
}

/// Latin letters with their accents, and Cyrillic ones: no others stand in a path, unless they are percent-encoded.
fn is_letter(c: char) -> bool {
    let is_latin = matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ' | '\u{100}'..='\u{24f}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}');
    c.is_ascii_alphabetic() || is_latin || matches!(c, '\u{400}'..='\u{4ff}')
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn addresses_end_where_x_has_them_end() {
        let cases = [
            ("see https://a.kr/x?a=1&b=2.", vec!["https://a.kr/x?a=1&b=2"]),
            ("(https://a.kr/b_(c))", vec!["https://a.kr/b_(c)"]),
            ("https://board.example.org에서 https://a.kr/길", vec!["https://board.example.org", "https://a.kr/"]),
            ("http://a.kr:8080/x, http://localhost/y", vec!["http://a.kr:8080/x"]),
            ("누리집은 stepi.re.kr… 문의 a@b.kr, a.b@c.kr", vec!["stepi.re.kr"]),
            ("v2.0 e.g. 3.14 -a.kr", vec![]),
            ("xhttps://a.kr/ #https://a.kr", vec![]),
            ("https:// https://a https://a.", vec![]),
        ];
        for (text, wanted) in cases {
            let found: Vec<&str> = addresses(text).into_iter().map(|address| &text[address.range]).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
