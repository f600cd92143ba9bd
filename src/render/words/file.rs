//! The files of words: one for each language, compiled in, and single words of them replaced by an operator's.

use super::Messages;
use super::place;
use crate::domain::language::Language;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use toml::Value;

/// The languages with their files' texts; the first is read by whoever reads none of them.
const COMPILED_IN: [(&str, &str); 3] =
    [("en", include_str!("en.toml")), ("ko", include_str!("ko.toml")), ("zh", include_str!("zh.toml"))];

/// What the files of an operator are called.
const FILES: [&str; 3] = ["words.en.toml", "words.ko.toml", "words.zh.toml"];

/// Whether a file holds words: `words.TAG.toml`. One of a language that there are no words of is refused when it is taken.
#[must_use]
pub fn is_file(name: &str) -> bool {
    name.starts_with("words.") && name.ends_with(".toml")
}

/// The compiled-in files with the names that an operator's would have.
pub fn compiled_in() -> impl Iterator<Item = (String, String)> {
    FILES.into_iter().zip(COMPILED_IN).map(|(name, (_, text))| (name.to_owned(), text.to_owned()))
}

/// Words of an operator: the name and the text of each file, in the order of names.
pub type Own = Vec<(String, String)>;

/// What is wrong with a file of words: its name and a sentence that names the word and the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct BadWords {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub reason: String,
}

struct Loaded {
    own: Own,
    of: [Messages; 3],
}

/// Read once, since whatever is shown must have them.
static LOADED: OnceLock<Loaded> = OnceLock::new();

/// The words for a reader.
pub(super) fn messages(reader: &Language) -> &'static Messages {
    // `every_word_is_there_in_each_language` holds that the compiled-in files can be read.
    let loaded = LOADED.get_or_init(|| load(Own::new()).unwrap_or_else(|error| panic!("{error}")));
    let index = COMPILED_IN.iter().position(|(tag, _)| *tag == reader.base()).unwrap_or(0);
    &loaded.of[index]
}

/// Replaces words by an operator's, for this process. To be called before anything is rendered; the same ones may be taken again.
///
/// # Errors
/// [`BadWords`] when a file isn't TOML, names a word that isn't there, or lacks a place such as `{name}`; also when others were taken
/// before.
pub fn take_own(own: Own) -> Result<(), BadWords> {
    let loaded = load(own.clone())?;
    let kept = LOADED.get_or_init(|| loaded);
    let file = own.first().map_or(FILES[0], |(file, _)| file).to_owned();
    let reason = "this process has other words already; give it one folder of templates".to_owned();
    if kept.own == own { Ok(()) } else { Err(BadWords { file, reason }) }
}

fn load(own: Own) -> Result<Loaded, BadWords> {
    if let Some((file, _)) = own.iter().find(|(name, _)| !FILES.contains(&name.as_str())) {
        return Err(BadWords { file: file.clone(), reason: format!("there are words for {}", FILES.join(", ")) });
    }
    let read = |index: usize| {
        let (_, built_in) = COMPILED_IN[index];
        let file = FILES[index];
        let replaced = own.iter().find(|(name, _)| name == file).map(|(_, text)| text.as_str());
        with(built_in, replaced.unwrap_or_default()).map_err(|reason| BadWords { file: file.to_owned(), reason })
    };
    Ok(Loaded { of: [read(0)?, read(1)?, read(2)?], own })
}

/// The words of a file, with those that `own` replaces.
fn with(built_in: &str, own: &str) -> Result<Messages, String> {
    let parse = |text: &str| text.parse::<toml::Table>().map_err(|error| error.to_string().trim_end().to_owned());
    let mut words = Value::Table(parse(built_in)?);
    replace(&mut words, Value::Table(parse(own)?), "")?;
    words.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn replace(word: &mut Value, by: Value, path: &str) -> Result<(), String> {
    match (word, by) {
        (Value::Table(words), Value::Table(table)) => {
            for (key, by) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let known: Vec<&str> = words.keys().map(String::as_str).collect();
                let near = known.join(", ");
                match words.get_mut(&key) {
                    Some(word) => replace(word, by, &path)?,
                    None => return Err(format!("`{path}` isn't among the words; there are: {near}")),
                }
            }
            Ok(())
        }
        (Value::String(word), Value::String(by)) => {
            let (wanted, found) = (places(word), places(&by));
            if let Some(missing) = wanted.symmetric_difference(&found).next() {
                let all: Vec<String> = wanted.iter().map(|name| format!("{{{name}}}")).collect();
                let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                return Err(format!("`{path}`: the place {{{missing}}} doesn't fit; it has these places: {all}"));
            }
            *word = by;
            Ok(())
        }
        (Value::Array(words), Value::Array(by)) if words.len() == by.len() => {
            let mut each = words.iter_mut().zip(by).enumerate();
            each.try_for_each(|(index, (word, by))| replace(word, by, &format!("{path}[{index}]")))
        }
        (Value::Array(words), _) => Err(format!("`{path}` is a list of {} texts", words.len())),
        (Value::Table(_), _) => Err(format!("`{path}` is a table of words")),
        _ => Err(format!("`{path}` is a text")),
    }
}

fn places(pattern: &str) -> BTreeSet<&str> {
    let names = std::iter::successors(place(pattern), |(_, _, after)| place(after));
    names.map(|(_, name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_in_each_language() {
        for (tag, text) in COMPILED_IN {
            assert!(with(text, "").is_ok(), "{tag}: {:?}", with(text, "").err());
        }
        let shapes = COMPILED_IN.map(|(_, text)| shape(&text.parse::<toml::Table>().map(Value::Table).unwrap()));
        assert!(shapes.iter().all(|shape| *shape == shapes[0]), "the same words with the same places");
    }

    /// Names and places of words.
    fn shape(word: &Value) -> Value {
        match word {
            Value::Table(words) => Value::Table(words.iter().map(|(key, word)| (key.clone(), shape(word))).collect()),
            Value::Array(words) => Value::Array(words.iter().map(shape).collect()),
            Value::String(word) => Value::String(places(word).into_iter().collect::<Vec<_>>().join(" ")),
            other => other.clone(),
        }
    }

    #[test]
    fn an_operator_replaces_single_words_and_hears_of_mistakes() {
        let korean = COMPILED_IN[1].1;
        let own = "[words]\nunsubscribe = \"구독 끊기\"\n[words.grammar]\ngreeting = \"{name} 선생님께\"\n";
        let words = with(korean, own).unwrap().words;
        assert_eq!((words.unsubscribe.as_str(), words.greeting("김민지").as_str()), ("구독 끊기", "김민지 선생님께"));
        assert_eq!(words.contact, "문의");
        let wrong = |own: &str| with(korean, own).err().unwrap_or_default();
        assert!(
            wrong("[words]\nunsubscribed = \"x\"")
                .starts_with("`words.unsubscribed` isn't among the words; there are: ")
        );
        assert!(wrong("[words.grammar]\ngreeting = \"안녕하세요\"").contains("{name}"));
        assert!(wrong("[words.grammar]\nmonths = [\"1\"]").contains("a list of 12 texts"));
        assert!(wrong("[words]\nunsubscribe = 5").contains("is a text"));
        assert!(wrong("[words\n").contains("line 1"), "{}", wrong("[words\n"));
        let french = vec![("words.fr.toml".to_owned(), String::new())];
        assert!(
            take_own(french)
                .is_err_and(|bad| bad.to_string().starts_with("words.fr.toml: there are words for words.en"))
        );
    }
}
