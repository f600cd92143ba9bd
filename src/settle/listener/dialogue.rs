//! What is answered to each command: a state machine without a wire.

use super::Protocol;
use crate::domain::inbound::MESSAGE_LEN_MAX;

/// Recipients of one letter (RFC 5321 section 4.5.3.1.8 asks for 100 at least).
const RECIPIENTS_MAX: usize = 100;
/// Mistakes in one connection, after which it isn't listened to any more.
const MISTAKES_MAX: u32 = 20;
/// Longest address, with its brackets off.
const ADDRESS_LEN_MAX: usize = 320;

/// A dialogue.
pub(super) struct Dialogue {
    protocol: Protocol,
    name: String,
    domains: Vec<String>,
    is_introduced: bool,
    has_sender: bool,
    recipients: Vec<String>,
    mistakes: u32,
}

/// What follows from a command.
pub(super) enum Heard {
    /// This is said.
    Say(String),
    /// This is said, and the connection closed.
    Bye(String),
    /// The letter comes, for these recipients.
    Letter(Vec<String>),
}

impl Dialogue {
    pub(super) fn new(protocol: Protocol, name: String, domains: Vec<String>) -> Self {
        let (is_introduced, has_sender, recipients, mistakes) = (false, false, Vec::new(), 0);
        Self { protocol, name, domains, is_introduced, has_sender, recipients, mistakes }
    }

    pub(super) fn greeting(&self) -> String {
        let protocol = if self.protocol == Protocol::Lmtp { "LMTP" } else { "ESMTP" };
        format!("220 {} {protocol} allim takes returned mail\r\n", self.name)
    }

    /// Answers one line.
    pub(super) fn hear(&mut self, line: &str) -> Heard {
        let line = line.trim_end_matches(['\r', '\n']);
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match (verb.to_ascii_uppercase().as_str(), self.protocol) {
            ("LHLO", Protocol::Lmtp) | ("EHLO", Protocol::Smtp) => self.introduce(true),
            ("HELO", Protocol::Smtp) => self.introduce(false),
            ("MAIL", _) => self.mail(rest),
            ("RCPT", _) => self.rcpt(rest),
            ("DATA", _) if self.recipients.is_empty() => "503 5.5.1 RCPT comes first".to_owned(),
            ("DATA", _) => return Heard::Letter(std::mem::take(&mut self.recipients)),
            ("RSET", _) => {
                self.reset();
                "250 2.0.0 as you like".to_owned()
            }
            ("NOOP", _) => "250 2.0.0 still here".to_owned(),
            ("VRFY", _) => "252 2.1.5 send it and see".to_owned(),
            ("QUIT", _) => return Heard::Bye(format!("221 2.0.0 {} says goodbye\r\n", self.name)),
            _ => "500 5.5.1 that isn't known here".to_owned(),
        };
        self.mistakes += u32::from(answer.starts_with('5'));
        if self.mistakes > MISTAKES_MAX {
            return Heard::Bye(format!("{answer}\r\n421 4.7.0 too many mistakes\r\n"));
        }
        Heard::Say(answer + "\r\n")
    }

    /// The answer to a letter: over LMTP one for each of its recipients (RFC 2033 section 4.2).
    pub(super) fn after_letter(&mut self, recipients: usize, answer: &str) -> String {
        self.reset();
        let times = if self.protocol == Protocol::Lmtp { recipients } else { 1 };
        format!("{answer}\r\n").repeat(times)
    }

    fn reset(&mut self) {
        self.has_sender = false;
        self.recipients.clear();
    }

    fn introduce(&mut self, is_extended: bool) -> String {
        self.reset();
        self.is_introduced = true;
        if !is_extended {
            return format!("250 {}", self.name);
        }
        format!(
            "250-{}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {MESSAGE_LEN_MAX}",
            self.name
        )
    }

    fn mail(&mut self, rest: &str) -> String {
        if !self.is_introduced {
            return "503 5.5.1 introduce yourself first".to_owned();
        }
        if self.has_sender {
            return "503 5.5.1 one MAIL to a letter".to_owned();
        }
        let Some((_, parameters)) = path(rest, "FROM:") else {
            return "501 5.5.4 write MAIL FROM:<address>".to_owned();
        };
        for parameter in parameters.split_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" if value.parse::<u64>().is_ok_and(|size| size > MESSAGE_LEN_MAX as u64) => {
                    return format!("552 5.3.4 at most {MESSAGE_LEN_MAX} octets are taken");
                }
                "SIZE" | "BODY" => {}
                _ => return "555 5.5.4 that parameter isn't known here".to_owned(),
            }
        }
        self.has_sender = true;
        "250 2.1.0 go on".to_owned()
    }

    fn rcpt(&mut self, rest: &str) -> String {
        if !self.has_sender {
            return "503 5.5.1 MAIL comes first".to_owned();
        }
        let Some((address, _)) = path(rest, "TO:") else { return "501 5.5.4 write RCPT TO:<address>".to_owned() };
        let domain = address.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        if !domain.is_some_and(|domain| self.domains.contains(&domain)) {
            return "550 5.7.1 mail for that domain isn't taken here".to_owned();
        }
        if self.recipients.len() >= RECIPIENTS_MAX {
            return "452 4.5.3 too many recipients; send the letter again for the others".to_owned();
        }
        self.recipients.push(address.to_owned());
        "250 2.1.5 go on".to_owned()
    }
}

/// The address between angle brackets, and the parameters behind it.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let given = rest.get(..keyword.len()).filter(|given| given.eq_ignore_ascii_case(keyword))?;
    let path = rest[given.len()..].trim_start().strip_prefix('<')?;
    let (address, parameters) = path.split_once('>')?;
    let is_sound = address.len() <= ADDRESS_LEN_MAX && !address.contains(|c: char| c.is_control() || c.is_whitespace());
    is_sound.then_some((address, parameters))
}
