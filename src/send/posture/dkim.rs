//! Whether the DNS shows the key that we sign with (RFC 6376 section 3.6.1).

use super::ask::{Answer, Known, Missing, Question};

/// A signature as the DNS should show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The domain that signs.
    pub domain: String,
    /// Where its key stands: `SELECTOR._domainkey.DOMAIN`.
    pub name: String,
    /// What must stand there.
    pub text: String,
    /// The same as a line of a zone file.
    pub line: String,
}

/// What the DNS shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Our key.
    Ours,
    /// Our key, with `t=y`: receivers are told to take mail as unsigned.
    Testing,
    /// Nothing.
    Nothing,
    /// Something that verifies none of our signatures, with the reason.
    Other(&'static str),
    /// The DNS was silent.
    Silence,
}

impl Published {
    /// Whether it is an RSA key, which every receiver verifies.
    #[must_use]
    pub fn is_rsa(&self) -> bool {
        key_kind(&self.text) == "rsa"
    }

    /// What the DNS shows in its place.
    ///
    /// # Errors
    /// [`Missing`] when the DNS must be asked first.
    pub fn shown(&self, known: &Known) -> Result<Shown, Missing> {
        let texts = match known.ask(Question::Texts(self.name.clone()))? {
            Answer::Silence => return Ok(Shown::Silence),
            Answer::Nothing => return Ok(Shown::Nothing),
            Answer::Records(texts) => texts,
        };
        // Other records may stand there; several keys leave it to chance which one a receiver takes (section 3.6.2.2).
        let keys: Vec<&String> = texts.iter().filter(|text| tag(text, "p").is_some()).collect();
        Ok(match keys[..] {
            [] => Shown::Nothing,
            [text] => self.compared(text),
            _ => Shown::Other("several keys stand there where one is allowed"),
        })
    }

    fn compared(&self, text: &str) -> Shown {
        let key = |text: &str| tag(text, "p").unwrap_or_default();
        if tag(text, "v").is_some_and(|version| version != "DKIM1") {
            Shown::Other("its `v=` isn't DKIM1")
        } else if key(text).is_empty() {
            Shown::Other("the key there is revoked (`p=` is empty)")
        } else if key_kind(text) != key_kind(&self.text) || key(text) != key(&self.text) {
            Shown::Other("another key stands there than the one that signs here")
        } else if tag(text, "h").is_some_and(|hashes| !hashes.split(':').any(|hash| hash == "sha256")) {
            Shown::Other("its `h=` doesn't allow sha256")
        } else if tag(text, "s").is_some_and(|uses| !uses.split(':').any(|of| matches!(of, "*" | "email"))) {
            Shown::Other("its `s=` doesn't allow mail")
        } else if tag(text, "t").is_some_and(|flags| flags.split(':').any(|flag| flag == "y")) {
            Shown::Testing
        } else {
            Shown::Ours
        }
    }
}

fn key_kind(text: &str) -> String {
    tag(text, "k").unwrap_or_else(|| "rsa".to_owned())
}

/// The value of a tag without white space, which may stand anywhere in a key.
fn tag(text: &str, name: &str) -> Option<String> {
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let value = tags.filter(|(key, _)| key.trim() == name).map(|(_, value)| value).next()?;
    Some(value.chars().filter(|c| !c.is_whitespace()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(texts: &[&str]) -> Shown {
        let ours = Published {
            domain: "gaon.zz".to_owned(),
            name: "a._domainkey.gaon.zz".to_owned(),
            text: "v=DKIM1; k=rsa; p=AbC+d=".to_owned(),
            line: String::new(),
        };
        let mut known = Known::default();
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let answer = if texts.is_empty() { Answer::Nothing } else { Answer::Records(texts) };
        known.insert(Question::Texts(ours.name.clone()), answer);
        ours.shown(&known).expect("all is known")
    }

    #[test]
    fn a_key_is_ours_however_it_is_spelt() {
        for text in ["v=DKIM1; k=rsa; p=AbC+d=", "p=AbC +d=", " v = DKIM1;t=s;h=sha1:sha256;s=*; p=\tAbC+d = ;"] {
            assert_eq!(shown(&[text, "a note"]), Shown::Ours, "{text}");
        }
        assert_eq!(shown(&["v=DKIM1; t=s:y; p=AbC+d="]), Shown::Testing);
    }

    #[test]
    fn what_verifies_nothing_is_told_apart() {
        assert_eq!(shown(&[]), Shown::Nothing);
        assert_eq!(shown(&["v=spf1 -all"]), Shown::Nothing);
        let others = [
            "v=DKIM1; p=",
            "v=DKIM1; p=abC+d=",
            "v=DKIM1; k=ed25519; p=AbC+d=",
            "v=DKIM2; p=AbC+d=",
            "h=sha1; p=AbC+d=",
            "s=tlsrpt; p=AbC+d=",
        ];
        for text in others {
            assert!(matches!(shown(&[text]), Shown::Other(_)), "{text}");
        }
        assert!(matches!(shown(&["p=AbC+d=", "p=AbC+d="]), Shown::Other(_)));
    }
}
