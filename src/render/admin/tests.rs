use super::*;
use minijinja::context;
use std::collections::BTreeSet;

/// Words of these beginnings are chosen by what is found in the store, or named in code.
const DYNAMIC: [&str; 11] =
    ["role_", "said_", "part_", "error_", "state_", "act_", "why_", "kind_", "step_", "unit_", "nav_"];

fn is_dynamic(word: &str) -> bool {
    DYNAMIC.into_iter().any(|begins| word.starts_with(begins))
}

/// The words that a template names as `words.NAME`.
fn named(source: &str) -> BTreeSet<&str> {
    let ends = |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    source.split("words.").skip(1).map(|rest| &rest[..ends(rest)]).filter(|word| !word.is_empty()).collect()
}

fn parts() -> BTreeMap<&'static str, BTreeMap<String, Word>> {
    PARTS.iter().map(|(part, text)| (*part, read(part, text).unwrap_or_else(|error| panic!("{error}")))).collect()
}

#[test]
fn every_template_parses() {
    Pages::new().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_word_that_a_template_names_is_there() {
    let parts = parts();
    for (name, part, source) in TEMPLATES {
        for word in named(source) {
            let is_there = parts[part].contains_key(word) || parts[FRAME].contains_key(word);
            assert!(is_there, "{name} names words.{word}, which neither {part}.toml nor frame.toml has");
        }
    }
}

#[test]
fn no_word_is_of_no_use_or_stands_twice() {
    let parts = parts();
    for (part, words) in &parts {
        let of_part = TEMPLATES.iter().filter(|(_, of, _)| of == part || *part == FRAME);
        let used: BTreeSet<&str> = of_part.flat_map(|(.., source)| named(source)).collect();
        for word in words.keys() {
            assert!(is_dynamic(word) || used.contains(word.as_str()), "{part}.toml: nobody uses {word}");
            assert!(*part == FRAME || !parts[FRAME].contains_key(word), "{part}.toml: frame.toml has {word} too");
        }
    }
}

#[test]
fn words_have_the_same_places_in_each_language() {
    let places = |text: &str| -> BTreeSet<String> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
    };
    for (part, words) in parts() {
        for (name, word) in words {
            assert!(!word.en.is_empty() && !word.ko.is_empty() && !word.zh.is_empty(), "{part}.toml: {name} is empty");
            assert_eq!(places(&word.en), places(&word.ko), "{part}.toml: {name}");
            assert_eq!(places(&word.en), places(&word.zh), "{part}.toml: {name}");
        }
    }
}

#[test]
fn nothing_stands_in_a_line_that_the_policy_forbids() {
    for (name, _, source) in TEMPLATES {
        for forbidden in [" style=", "<style", " onclick=", " onchange=", "javascript:", "<script>"] {
            assert!(!source.contains(forbidden), "{name}: `{forbidden}`");
        }
    }
}

#[test]
fn spans_instants_and_places_read_well() {
    let mut environment = Environment::new();
    filters::add(&mut environment);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
    let words = words().unwrap();
    let korean = &words[&(FRAME, "ko")];
    let desk = BTreeMap::from([("zone", "Asia/Seoul")]);
    let shown = |template: &str| {
        environment.render_str(template, context! { words => korean, desk => &desk, name => "<b>" }).unwrap()
    };
    assert_eq!(shown("{{ 11100000|span }}|{{ 0|span }}|{{ 90061000|span }}"), "3시간 5분|0초|1일 1시간");
    assert_eq!(shown("{{ 0|at }}"), "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 09:00</time>");
    assert_eq!(shown("{{ none|at }}{{ 1234567|num }}"), "1,234,567");
    // `render_str` has no name that ends in .html, so the whole is escaped by the formatter of the test's environment.
    assert_eq!(shown("{{ 'a {n} c'|put(n=name) }}"), "a &lt;b&gt; c");
}
