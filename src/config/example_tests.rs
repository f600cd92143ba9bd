//! The example is the manual, so it must be complete and true.

use super::file::SendTable;
use super::*;

const EXAMPLE: &str = include_str!("../../config/allim.toml");

/// The example with every key that may be left out put in: a line that begins with `#` and no space.
fn whole() -> String {
    let put_in = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(put_in).collect::<Vec<_>>().join("\n")
}

fn parsed(text: &str) -> Config {
    parse(text, Path::new("allim.toml"), Path::new("."), std::iter::empty()).expect("holds together")
}

#[test]
fn the_example_holds_together_as_it_is_and_with_every_key() {
    let least = parsed(EXAMPLE);
    assert!(least.file.relay.is_empty() && least.file.intake.amqp.is_none());
    let whole = parsed(&whole());
    assert_eq!((whole.file.relay.len(), whole.file.intake.token.len()), (2, 1));
    assert_eq!(whole.dkim["news"].len(), 2);
    assert!(whole.file.intake.spool.is_some() && whole.file.quickstart.is_some());
}

/// serde tells the fields of a table to whoever brings a wrong one.
#[test]
fn the_example_names_every_key_there_is() {
    let example: toml::Table = whole().parse().expect("TOML");
    let mut tables = 0;
    for path in paths(&toml::Value::Table(example.clone())) {
        let mut spoilt = toml::Value::Table(example.clone());
        let mut place = &mut spoilt;
        for step in &path {
            place = match step {
                Step::Key(key) => &mut place[key.as_str()],
                Step::Index(index) => &mut place[*index],
            };
        }
        let table = place.as_table_mut().expect("a table");
        let there: Vec<String> = table.keys().cloned().collect();
        table.insert("zzz".to_owned(), toml::Value::Boolean(true));
        let Err(error) = spoilt.try_into::<File>() else { continue };
        let message = error.to_string();
        // A table of texts by language takes any language, and complains of the value instead.
        let Some((_, fields)) = message.split_once("unknown field `zzz`, expected ") else { continue };
        tables += 1;
        // The line after it names the place.
        let fields = fields.lines().next().unwrap_or_default();
        for field in fields.split('`').skip(1).step_by(2) {
            let elsewhere = sibling_has(&example, &path, field);
            assert!(
                there.iter().any(|key| key == field) || elsewhere,
                "{path:?}: `{field}` is missing in config/allim.toml"
            );
        }
    }
    assert!(tables > 15, "only {tables} tables were looked at");
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// The places of all tables.
fn paths(value: &toml::Value) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    let below = |step: Step, value: &toml::Value| {
        let join = |rest: Vec<Step>| std::iter::once(step.clone()).chain(rest).collect();
        paths(value).into_iter().map(join).collect::<Vec<Vec<Step>>>()
    };
    match value {
        toml::Value::Table(table) => {
            found.push(Vec::new());
            found.extend(table.iter().flat_map(|(key, value)| below(Step::Key(key.clone()), value)));
        }
        toml::Value::Array(items) => {
            found.extend(items.iter().enumerate().flat_map(|(index, value)| below(Step::Index(index), value)));
        }
        _ => {}
    }
    found
}

/// Of several tables of one kind it is enough that one shows a key.
fn sibling_has(example: &toml::Table, path: &[Step], field: &str) -> bool {
    let Some((Step::Index(_), above)) = path.split_last() else { return false };
    let mut place = &toml::Value::Table(example.clone());
    for step in above {
        place = match step {
            Step::Key(key) => &place[key.as_str()],
            Step::Index(index) => &place[*index],
        };
    }
    place.as_array().is_some_and(|items| items.iter().any(|item| item.get(field).is_some()))
}

#[test]
fn every_key_of_the_example_is_explained() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let is_key = !line.is_empty() && !line.starts_with("# ") && *line != "#";
        assert!(!is_key || lines[index - 1].starts_with("# "), "line {}: {line}", index + 1);
    }
}

#[test]
fn the_defaults_in_the_example_are_the_defaults() {
    let (least, whole) = (parsed(EXAMPLE).file, parsed(&whole()).file);
    let text = |part: &dyn Fn(&File) -> String| (part(&least), part(&whole));
    let parts: [&dyn Fn(&File) -> String; 7] = [
        // That there is no name server of one's own can't be written.
        &|file| format!("{:?}", SendTable { resolver: None, ..file.send.clone() }),
        &|file| format!("{:?}", file.store),
        &|file| format!("{:?} {:?}", file.languages.translation_wait, file.intake.max_age),
        &|file| format!("{} {}", file.instance.name, file.web.listen),
        &|file| format!("{:?} {}", file.digest[0].max_late, file.web.show_mail_folder),
        &|file| format!("{:?}", file.intake.source[0].republish),
        &|file| format!("{} {}", file.web.count_views, file.web.show_issues),
    ];
    for part in parts {
        let (default, shown) = text(part);
        assert_eq!(default, shown);
    }
    let (least, whole) = (parsed(EXAMPLE).theme, parsed(&self::whole()).theme);
    assert_eq!((least.light, least.dark, least.show_name), (whole.light, whole.dark, whole.show_name));
}
