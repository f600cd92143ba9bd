//! Holds the arrows of ARCHITECTURE.md: reads every `crate::` path in `src/` and fails on an arrow that isn't drawn there.
#![allow(missing_docs, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may use whom. `main.rs` and `lib.rs` only name the rooms.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("render", &["domain"]),
    ("guard", &["domain"]),
    ("intake", &["store", "domain", "guard"]),
    ("plan", &["store", "domain"]),
    ("send", &["store", "domain", "render", "guard"]),
    ("settle", &["store", "domain"]),
    ("web", &["intake", "plan", "render", "store", "domain", "guard"]),
    // Any room's settings, that is types that configuration files are made of, and nothing that works.
    ("config", &["domain", "guard", "intake", "plan", "render", "send", "settle", "store", "web"]),
    ("app", &["config", "domain", "guard", "intake", "plan", "render", "send", "settle", "store", "web"]),
    ("cli", &["app", "config", "domain", "intake", "plan", "render", "send", "settle", "store", "web"]),
];

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a file without comments, doc links included.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The rooms that a piece of code names as `crate::room`, in `use` groups too.
fn named(code: &str, rooms: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut word) = (1, String::new());
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 1 && (c.is_alphanumeric() || c == '_') {
                    word.push(c);
                } else {
                    found.insert(std::mem::take(&mut word));
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found.retain(|word| rooms.contains(word.as_str()));
    found
}

fn arrows() -> BTreeMap<(String, String), Vec<String>> {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut paths = Vec::new();
    files(&source(), &mut paths);
    let mut arrows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for path in paths {
        let relative = path.strip_prefix(source()).expect("below src").to_owned();
        let first = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs").to_owned();
        for used in named(&code(&path), &rooms) {
            if used != room {
                arrows.entry((room.clone(), used)).or_default().push(relative.display().to_string());
            }
        }
    }
    arrows
}

#[test]
fn no_arrow_that_is_not_drawn() {
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for ((from, to), places) in arrows() {
        if from == "main" || from == "lib" {
            continue;
        }
        let allowed = drawn.get(from.as_str()).unwrap_or_else(|| panic!("the room `{from}` is new: draw its arrows"));
        if !allowed.contains(&to.as_str()) {
            wrong.push(format!("{from} → {to} in {}", places.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md doesn't draw:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_arrows_sees_groups_and_paths() {
    let rooms = BTreeSet::from(["store", "domain", "web"]);
    let code = "use crate::{domain::clock, store::{Store, web}};\nfn f() { crate::web::x() }";
    let expected: BTreeSet<String> = ["store", "domain", "web"].map(str::to_owned).into();
    assert_eq!(named(code, &rooms), expected);
    assert!(named("use crate::other; use store::x;", &rooms).is_empty());
}

/// Only the store speaks SQL.
#[test]
fn sql_stands_in_the_store_alone() {
    let mut paths = Vec::new();
    files(&source(), &mut paths);
    for path in paths.iter().filter(|path| !path.starts_with(source().join("store"))) {
        let code = code(path);
        for word in ["rusqlite", "postgres::", "SELECT ", "INSERT INTO", "UPDATE deliveries"] {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
    }
}

/// A carrier takes values and never looks into the ledger.
#[test]
fn carriers_know_nothing_of_the_store() {
    let mut paths = Vec::new();
    files(&source().join("send/carriers"), &mut paths);
    for path in paths {
        assert!(!code(&path).contains("crate::store"), "{}", path.display());
    }
}
