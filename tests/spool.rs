//! The watched folder: what is dropped there is taken in once, through kills too.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::clock::{Chance as _, SeededChance};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use support::sink::posts_in;
use support::{Setting, post, wait_until};

fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.spool = true;
    setting
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// As a careful publisher does it: under a temporary name first.
fn drop_into(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    std::fs::create_dir_all(folder).expect("a folder");
    let hidden = folder.join(format!("{name}.tmp"));
    std::fs::write(&hidden, content).expect("written");
    std::fs::rename(&hidden, folder.join(name)).expect("renamed");
    folder.join(name)
}

#[test]
fn good_files_are_done_and_bad_ones_are_rejected_with_their_reason() {
    let setting = setting();
    let folder = setting.path().join("spool");
    let markdown = format!(
        "+++\nid = \"md-1\"\nlanguage = \"ko\"\ntopics = [\"events\"]\npublished_at = \"{}\"\n+++\n# 공개 강연\n\n**모두** 오세요.\n",
        post("", "", "ko", &[])["published_at"].as_str().expect("a time")
    );
    let event = serde_json::json!({ "specversion": "1.0", "type": "org.allim.post.published.v1", "source": "cms", "id": "e1",
        "data": post("json-1", "첫 소식", "ko", &["events"]) });
    drop_into(&folder, "1.json", event.to_string().as_bytes());
    drop_into(&folder, "2.md", markdown.as_bytes());
    drop_into(&folder, "3.md", b"# no front matter\n");
    drop_into(&folder, "4.json", post("json-2", "제목", "ko", &["sports"]).to_string().as_bytes());
    drop_into(&folder, "5.json", &vec![b' '; 3 * 1024 * 1024]);
    std::fs::write(folder.join("6.json.part"), "{").expect("written");
    std::fs::write(folder.join(".7.json"), "{").expect("written");
    let daemon = setting.start();
    wait_until("the folder to be empty", Duration::from_secs(20), || names(&folder) == [".7.json", "6.json.part"]);
    // A second file of the same name never overwrites the first.
    drop_into(&folder, "1.json", post("json-3", "둘째 소식", "ko", &["events"]).to_string().as_bytes());
    wait_until("the second file", Duration::from_secs(20), || names(&folder.join("done")).len() == 3);
    daemon.stop();

    assert_eq!(names(&folder.join("done")), ["1.json", "1.json.1", "2.md"]);
    let rejected = ["3.md", "3.md.reason.txt", "4.json", "4.json.reason.txt", "5.json", "5.json.reason.txt"];
    assert_eq!(names(&folder.join("rejected")), rejected);
    let reason = |name: &str| {
        std::fs::read_to_string(folder.join("rejected").join(format!("{name}.reason.txt"))).expect("a reason")
    };
    assert!(reason("3.md").starts_with("bad_front_matter: ") && reason("3.md").contains("+++"), "{}", reason("3.md"));
    assert!(reason("4.json").starts_with("unknown_topic at topics[0]: `sports`"), "{}", reason("4.json"));
    assert!(reason("5.json").starts_with("too_large: "), "{}", reason("5.json"));
    let whole = std::fs::metadata(folder.join("rejected/5.json")).expect("the file");
    assert_eq!(whole.len(), 3 * 1024 * 1024, "a large file is kept as it was");
}

#[test]
fn killed_while_emptying_the_folder() {
    let (files, kills) = (240, 10);
    let seed = u64::try_from(support::now_seconds()).expect("fits");
    println!("seed {seed}");
    let chance = SeededChance::new(seed);
    let mut left_over = Vec::new();
    let setting = setting();
    setting.subscribe(&["reader@example.net,,ko,events,immediate".to_owned()]);
    let folder = setting.path().join("spool");
    for kill in 0..kills {
        for number in (0..files).filter(|number| number % kills == kill) {
            let body = post(&format!("post-{number}"), &format!("{number}번째 소식"), "ko", &["events"]);
            drop_into(&folder, &format!("{number}.json"), body.to_string().as_bytes());
        }
        // Not awaited: it may die before, while and after it empties the folder.
        let mut command = setting.command(&["run"]);
        let mut daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(20 + chance.draw() % 120));
        daemon.kill().expect("it is killed");
        daemon.wait().expect("it ends");
        left_over.push(names(&folder).len());
    }
    println!("files left over after each kill: {left_over:?}");
    let daemon = setting.start();
    let mut given = BTreeMap::new();
    wait_until("every post in the mailbox", Duration::from_secs(60), || {
        given = given_in(&setting.maildir());
        given.len() == files && names(&folder).is_empty()
    });
    daemon.stop();
    assert!(given.values().all(|count| *count == 1), "seed {seed}: {given:?}");
    assert_eq!(names(&folder.join("done")).len(), files, "seed {seed}");
    assert_eq!(names(&folder.join("rejected")), Vec::<String>::new(), "seed {seed}");
}

fn given_in(maildir: &Path) -> BTreeMap<String, usize> {
    let mut given = BTreeMap::new();
    for name in names(maildir) {
        let bytes = std::fs::read(maildir.join(name)).expect("a mail");
        for post in posts_in(&bytes) {
            *given.entry(post).or_default() += 1;
        }
    }
    given
}
