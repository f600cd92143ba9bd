//! `docs/wire-format.md` is what publishers read: its examples must be taken and its numbers must be ours.

use super::{incoming, policy};
use crate::intake::decode::decode;
use crate::intake::front_matter;
use crate::intake::wire::{self, RejectReason};

const DOCS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/wire-format.md"));

fn examples(language: &str) -> Vec<&'static str> {
    DOCS.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

#[test]
fn every_example_is_taken() {
    let mut kinds = Vec::new();
    for example in examples("json") {
        let event = decode(&incoming("application/json", &[], example), &policy());
        let event = event.unwrap_or_else(|rejection| panic!("{rejection}\n{example}"));
        assert!(event.repairs.is_empty());
        kinds.push(event.kind().word());
    }
    assert_eq!(kinds, ["published", "revised", "withdrawn", "published"]);
    for example in examples("markdown") {
        let post = front_matter::to_json(example).unwrap();
        let event = decode(&incoming("application/json", &[], post.to_string()), &policy());
        event.unwrap_or_else(|rejection| panic!("{rejection}\n{example}"));
    }
    assert_eq!(examples("markdown").len(), 1);
}

#[test]
fn every_reason_and_limit_is_told() {
    for reason in RejectReason::ALL {
        assert!(DOCS.contains(&format!("| `{}` |", reason.word())), "{}", reason.word());
    }
    for (row, limit) in [
        ("| `id` |", wire::ID_CHARS_MAX),
        ("| `title` |", wire::TITLE_CHARS_MAX),
        ("| `summary` |", wire::SUMMARY_CHARS_MAX),
        ("| `topics` |", wire::TOPICS_MAX),
        ("| `topics` |", wire::TOPIC_CHARS_MAX),
        ("| `tags` |", wire::TAGS_MAX),
        ("| `tags` |", wire::TAG_CHARS_MAX),
        ("| `breadcrumb` |", wire::BREADCRUMB_MAX),
        ("| `author` |", wire::NAME_CHARS_MAX),
        ("| `languages_expected` |", wire::LANGUAGES_MAX),
        ("| `url` |", wire::URL_CHARS_MAX),
        ("| `images` |", wire::IMAGES_MAX),
        ("| `images[].caption` |", wire::CAPTION_CHARS_MAX),
        ("| `attachments` |", wire::ATTACHMENTS_MAX),
        ("| `contact.email` |", wire::EMAIL_CHARS_MAX),
        ("| `revision` |", usize::try_from(wire::REVISION_MAX).unwrap()),
        ("| a message |", wire::MESSAGE_BYTES_MAX),
        ("| nesting |", wire::NESTING_MAX),
    ] {
        let line = DOCS.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(line.replace(',', "").contains(&limit.to_string()), "{row} doesn't tell {limit}: {line}");
    }
}
