//! What the configuration says of an account: each network takes what concerns it, and refuses the rest.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What becomes of a post's first picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageUse {
    /// It is shown in the link's card.
    #[default]
    Card,
    /// It goes with the post.
    Attach,
    /// Nothing.
    None,
}

/// What is said of an account, as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The server's address.
    pub server: Option<String>,
    /// Page, channel, room, board, organisation or topic.
    pub target: Option<String>,
    /// Whom the account belongs to.
    pub user: Option<String>,
    /// Which of several kinds.
    pub flavour: Option<String>,
    /// Who sees what is posted.
    pub visibility: Option<String>,
    /// Our program, as the network knows it.
    pub client_id: Option<String>,
    /// Where its secret lies.
    pub client_secret_file: Option<PathBuf>,
    /// Its secret, once it was read.
    pub client_secret: Option<String>,
    /// Where a browser is led after a login.
    pub redirect: Option<String>,
    /// What becomes of pictures.
    pub image: ImageUse,
}

/// What is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Wrong {
    /// The key.
    pub key: &'static str,
    /// What would be right.
    pub reason: String,
}

impl Wrong {
    /// A key that can't be.
    #[must_use]
    pub fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }
}

/// Where browsers are led if the file doesn't say: nothing answers there, and the address is pasted.
const REDIRECT: &str = "https://localhost/";

impl Terms {
    /// Refuses what this network makes nothing of.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Wrong> {
        let given = [
            ("server", self.server.is_some()),
            ("target", self.target.is_some()),
            ("user", self.user.is_some()),
            ("flavour", self.flavour.is_some()),
            ("visibility", self.visibility.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret_file", self.client_secret_file.is_some()),
            ("redirect", self.redirect.is_some()),
        ];
        let needless = given.into_iter().find(|(key, is_given)| *is_given && !known.contains(key));
        needless.map_or(Ok(()), |(key, _)| Err(Wrong::new(key, "means nothing at this network: take it out")))
    }

    /// Pictures go in these ways only.
    pub(crate) fn images(&self, ways: &[ImageUse]) -> Result<ImageUse, Wrong> {
        let word = |way: &ImageUse| match way {
            ImageUse::Card => "`card`",
            ImageUse::Attach => "`attach`",
            ImageUse::None => "`none`",
        };
        let all = || ways.iter().map(word).collect::<Vec<_>>().join(" or ");
        match ways.contains(&self.image) {
            true => Ok(self.image),
            false => Err(Wrong::new("image", format!("this network knows {} only", all()))),
        }
    }

    /// The server's address without a slash at its end.
    pub(crate) fn server(&self, default: Option<&str>) -> Result<String, Wrong> {
        let text = self.server.as_deref().or(default);
        let text = text.ok_or_else(|| Wrong::new("server", "is needed, such as `https://social.example.org`"))?;
        let url = url::Url::parse(text)
            .map_err(|_| Wrong::new("server", "write an address such as `https://social.example.org`"))?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::new("server", "write scheme and host, and nothing secret"));
        }
        Ok(text.trim_end_matches('/').to_owned())
    }

    /// Where its posts go.
    pub(crate) fn target(&self, such_as: &str) -> Result<String, Wrong> {
        let text = self.target.clone().filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Wrong::new("target", format!("is needed: {such_as}")))
    }

    /// Our program's id.
    pub(crate) fn client_id(&self) -> Result<String, Wrong> {
        let text = self.client_id.clone().filter(|text| !text.is_empty());
        text.ok_or_else(|| Wrong::new("client_id", "is needed: the id that the network gave your program"))
    }

    /// Where a browser is led.
    pub(crate) fn redirect(&self) -> String {
        self.redirect.clone().unwrap_or_else(|| REDIRECT.to_owned())
    }

    /// One of these words; the first if none is given.
    pub(crate) fn one_of<T: Copy>(key: &'static str, text: Option<&str>, words: &[(&str, T)]) -> Result<T, Wrong> {
        let known = || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let found = match text {
            None => words.first(),
            Some(text) => words.iter().find(|(word, _)| *word == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| Wrong::new(key, format!("write one of {}", known())))
    }
}
