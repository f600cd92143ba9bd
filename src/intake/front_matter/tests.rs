use super::{FrontMatterError, to_json};
use crate::intake::wire::RejectReason;
use serde_json::json;

#[test]
fn toml_is_read_in_full() {
    let file = "\u{FEFF}+++\r\nid = \"a\"\r\npublished_at = 2026-04-22T09:30:00+09:00\r\ntags = [\"x\"]\r\n[event]\r\n\
                starts_at = 2026-05-01\r\n+++\r\n\r\n머리말\r\n\r\n```sh\r\n# no heading\r\n```\r\n# 제목 #\r\n\r\n본문\r\n";
    let expected = json!({
        "id": "a", "published_at": "2026-04-22T09:30:00+09:00", "tags": ["x"], "event": {"starts_at": "2026-05-01"},
        "title": "제목",
        "body": {"format": "markdown", "content": "머리말\n\n```sh\n# no heading\n```\n\n본문\n"}
    });
    assert_eq!(to_json(file).unwrap(), expected);
}

#[test]
fn a_given_title_leaves_the_heading_in_the_body() {
    let post = to_json("+++\ntitle = \"One\"\n+++\n# Two\ntext").unwrap();
    assert_eq!((&post["title"], &post["body"]["content"]), (&json!("One"), &json!("# Two\ntext")));
    let post = to_json("+++\n+++\n# C#\ntext").unwrap();
    assert_eq!((&post["title"], &post["body"]["content"]), (&json!("C#"), &json!("text")));
    assert_eq!(to_json("+++\n+++\ntext").unwrap().get("title"), None);
}

#[test]
fn simple_lines_are_read_as_yaml_reads_them() {
    let file = "---\n# a remark\nid: '15''07'\ntitle: 안내: 봄\npublished_at: 2026-04-22T09:30:00+09:00\nviews: 12\n\
                summary: \"a \\\"b\\\" # c\"\nurl:\ntopics: [events, \"a, b\", 'c']\ntags: []\n---\nText\n";
    let expected = json!({
        "id": "15'07", "title": "안내: 봄", "published_at": "2026-04-22T09:30:00+09:00", "views": 12, "url": null,
        "summary": "a \"b\" # c", "topics": ["events", "a, b", "c"], "tags": [],
        "body": {"format": "markdown", "content": "Text\n"}
    });
    assert_eq!(to_json(file).unwrap(), expected);
}

#[test]
fn what_cant_be_read_is_named_with_its_line() {
    for (file, expected) in [
        ("# Title\n", "must begin with front matter"),
        ("", "must begin with front matter"),
        ("+++\nid = \"a\"\n", "write a line `+++`"),
        ("---\nid: a", "write a line `---`"),
        ("+++\nid = \"a\"\ntitle = \n+++\n", "line 3 isn't TOML"),
        ("+++\nid = 1\nid = 2\n+++\n", "line 3 isn't TOML"),
        ("+++\nbody = \"a\"\n+++\n", "write the text below it"),
        ("---\nid: a\ncontact:\n  name: b\n---\n", "line 4: write `key: value` without indentation"),
        ("---\ntags:\n- a\n---\n", "line 3: write `key: value`"),
        ("---\nsummary: |\n---\n", "line 2: put the value in quotes"),
        ("---\ntitle: a # b\n---\n", "line 2: put the value in quotes"),
        ("---\ntags: [a\n---\n", "line 2: close the list"),
        ("---\ntitle: \"a\n---\n", "line 2: close the double quotes"),
        ("---\ntitle: 'a'b'\n---\n", "line 2: close the single quotes"),
        ("---\nid: a\nid: b\n---\n", "line 3: this key stands there twice"),
        ("---\nid:a\n---\n", "line 2: write a space after the colon"),
    ] {
        let error = to_json(file).unwrap_err();
        assert!(error.to_string().contains(expected), "{file:?}: {error}");
        if matches!(error, FrontMatterError::NotSimple { .. }) {
            assert!(error.to_string().contains("`+++`"), "{error}");
        }
        assert_eq!(error.rejection().reason, RejectReason::BadFrontMatter);
    }
}
