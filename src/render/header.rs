//! Mail header values: encoded words, quoting and folding (RFC 5322 section 2.2.3, RFC 2047). lettre's own encoder
//! passes a literal `=?…?=` through and never breaks a long ASCII word; ours keeps every text as it was meant.

use crate::domain::audience::Address;
use crate::domain::text::HeaderText;
use base64::Engine as _;
use lettre::message::header::{HeaderName, HeaderValue};

/// Columns of a header line, which RFC 5322 section 2.1.1 wants kept.
const LINE_LEN_MAX: usize = 78;

/// Octets of text in one encoded word: 42 make 56 of base64 and a word of 68, so that `List-Id: ` and the word fit
/// on one line, below RFC 2047's limit of 75 for the word.
const ENCODED_OCTETS_MAX: usize = 42;

/// Longest word that is left unencoded, so that it and the space before it fit on a line.
const PLAIN_WORD_LEN_MAX: usize = 68;

/// A header of free text, such as a subject.
pub(super) fn unstructured(name: &'static str, text: &HeaderText) -> HeaderValue {
    let raw = text.as_str();
    let is_plain =
        is_safe_ascii(raw) && raw.split(' ').all(|word| !word.is_empty() && word.len() <= PLAIN_WORD_LEN_MAX);
    let tokens = if is_plain { raw.split(' ').map(str::to_owned).collect() } else { encoded_words(raw) };
    folded(name, &tokens)
}

/// A header of one mailbox. A local part outside ASCII stays as it is (RFC 6532) and needs SMTPUTF8.
pub(super) fn mailbox(name: &'static str, phrase: Option<&HeaderText>, address: &Address) -> HeaderValue {
    match phrase.filter(|phrase| !phrase.as_str().is_empty()) {
        None => folded(name, &[address.to_string()]),
        Some(phrase) => with_phrase(name, phrase, address.as_str()),
    }
}

/// A header of a phrase and something in angle brackets, such as List-Id (RFC 2919).
pub(super) fn with_phrase(name: &'static str, phrase: &HeaderText, bracketed: &str) -> HeaderValue {
    let mut tokens = phrase_tokens(phrase.as_str());
    tokens.push(format!("<{bracketed}>"));
    folded(name, &tokens)
}

/// A header whose value is ASCII that we made ourselves.
pub(super) fn plain(name: &'static str, value: String) -> HeaderValue {
    folded(name, &[value])
}

fn phrase_tokens(phrase: &str) -> Vec<String> {
    if !is_safe_ascii(phrase) || phrase.len() > PLAIN_WORD_LEN_MAX {
        return encoded_words(phrase);
    }
    let is_atoms = phrase.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'-');
    if is_atoms && !phrase.is_empty() {
        return vec![phrase.to_owned()];
    }
    vec![format!("\"{}\"", phrase.replace('\\', "\\\\").replace('"', "\\\""))]
}

/// Printable ASCII that no reader takes for an encoded word.
fn is_safe_ascii(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?")
}

/// The text in encoded words; white space between two of them is no part of the text, so spaces are encoded too.
fn encoded_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(ENCODED_OCTETS_MAX);
        let (chunk, after) = rest.split_at(end);
        let encoded = base64::engine::general_purpose::STANDARD.encode(chunk);
        words.push(format!("=?utf-8?B?{encoded}?="));
        rest = after;
    }
    words
}

fn folded(name: &'static str, tokens: &[String]) -> HeaderValue {
    let mut value = String::new();
    let mut column = name.len() + 2;
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 {
            let fits = column + 1 + token.len() <= LINE_LEN_MAX;
            value.push_str(if fits { " " } else { "\r\n " });
            column = if fits { column + 1 } else { 1 };
        }
        value.push_str(token);
        column += token.len();
    }
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, tokens.join(" "), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::CleanText;

    fn lines(value: HeaderValue) -> String {
        let mut headers = lettre::message::header::Headers::new();
        headers.insert_raw(value);
        headers.to_string()
    }

    #[test]
    fn every_line_and_every_word_is_within_its_limit() {
        let texts =
            ["가".repeat(500), "Long plain words ".repeat(60), "x".repeat(1_000), "🎓".repeat(100), "a=?b".to_owned()];
        for text in texts {
            let text = HeaderText::fold(&CleanText::new(&text));
            let address = Address::parse("news@example.org").unwrap();
            for value in [unstructured("Subject", &text), mailbox("From", Some(&text), &address)] {
                for line in lines(value).trim_end().split("\r\n") {
                    assert!(line.len() <= LINE_LEN_MAX, "{line}");
                    assert!(line.split(' ').all(|word| !word.starts_with("=?") || word.len() <= 75), "{line}");
                }
            }
        }
    }

    #[test]
    fn names_are_quoted_as_needed() {
        let address = Address::parse("kim@example.org").unwrap();
        let of = |name: &str| lines(mailbox("To", Some(&HeaderText::fold(&CleanText::new(name))), &address));
        assert_eq!(of("Kim Ha-neul"), "To: Kim Ha-neul <kim@example.org>\r\n");
        assert_eq!(of(r#"Kim, "Sky" \o/"#), "To: \"Kim, \\\"Sky\\\" \\\\o/\" <kim@example.org>\r\n");
        assert_eq!(of("a\r\nBcc: x@example.org"), "To: \"a Bcc: x@example.org\" <kim@example.org>\r\n");
        assert_eq!(of("하늘"), "To: =?utf-8?B?7ZWY64qY?= <kim@example.org>\r\n");
        assert_eq!(of(""), "To: kim@example.org\r\n");
    }
}
