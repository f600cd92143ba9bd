//! What was asked of the DNS and what came back. Judgements are pure: where an answer is missing, they say which, somebody looks
//! it up, and they are made again.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A question to the DNS. Names are in ASCII, in lower case and without a dot at their end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// TXT.
    Texts(String),
    /// A and AAAA.
    Addresses(String),
    /// MX: the hosts, the preferred one first; `.` says that there is none (RFC 7505).
    Exchanges(String),
    /// PTR.
    Pointers(IpAddr),
}

/// What the DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records, in words: texts, addresses or names.
    Records(Vec<String>),
    /// That there is none: definite.
    Nothing,
    /// Nothing in time, or that it can't say now.
    Silence,
}

/// A judgement needs this answer first.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing(pub Question);

/// The answers so far.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<Question, Answer>);

impl Known {
    /// Notes an answer.
    pub fn insert(&mut self, question: Question, answer: Answer) {
        self.0.insert(question, answer);
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// [`Missing`] when nobody has asked yet.
    pub fn ask(&self, question: Question) -> Result<&Answer, Missing> {
        match self.0.get(&question) {
            Some(answer) => Ok(answer),
            None => Err(Missing(question)),
        }
    }

    /// The texts at a name that belong to a protocol; `None` when the DNS was silent.
    ///
    /// # Errors
    /// [`Missing`] when nobody has asked yet.
    pub fn texts(&self, name: &str, is_record: fn(&str) -> bool) -> Result<Option<Vec<&str>>, Missing> {
        Ok(match self.ask(Question::Texts(name.to_owned()))? {
            Answer::Silence => None,
            Answer::Nothing => Some(Vec::new()),
            Answer::Records(texts) => Some(texts.iter().map(String::as_str).filter(|text| is_record(text)).collect()),
        })
    }

    /// The addresses of a name; `None` when the DNS was silent.
    ///
    /// # Errors
    /// [`Missing`] when nobody has asked yet.
    pub fn addresses(&self, name: &str) -> Result<Option<Vec<IpAddr>>, Missing> {
        Ok(match self.ask(Question::Addresses(name.to_owned()))? {
            Answer::Silence => None,
            Answer::Nothing => Some(Vec::new()),
            Answer::Records(found) => Some(found.iter().filter_map(|address| address.parse().ok()).collect()),
        })
    }

    /// The names that a question leads to; `None` when the DNS was silent.
    ///
    /// # Errors
    /// [`Missing`] when nobody has asked yet.
    pub fn names(&self, question: Question) -> Result<Option<Vec<&str>>, Missing> {
        Ok(match self.ask(question)? {
            Answer::Silence => None,
            Answer::Nothing => Some(Vec::new()),
            Answer::Records(names) => Some(names.iter().map(String::as_str).collect()),
        })
    }
}
