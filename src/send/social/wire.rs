//! What all networks' clients have in common: one call by the guard, and what its answer means to a delivery.

mod limits;
mod sought;

pub use sought::{Likeness, Picked, Sought, pick, without_tags};

use super::network::Credential;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::guard::{Answer, Call, Failure, Guard};
use crate::render::blurb::Picture;
use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Octets of an answer that are read: what servers say of themselves is the longest.
const ANSWER_LEN_MAX: usize = 512 * 1_024;
/// Characters of an answer that the ledger keeps.
const WORDS_MAX: usize = 200;
/// A secret shorter than this isn't looked for in answers: it would be found in words.
const SECRET_LEN_MIN: usize = 6;
/// A piece of a secret, such as the token in `user:token`, that is looked for by itself.
const PIECE_LEN_MIN: usize = 12;

/// What a call can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that a repeat would do twice: logins, uploads, look-ups, changes, deletions.
    Harmless,
    /// It makes a post: a lost answer leaves open whether it is there.
    Making,
}

/// One call.
pub struct Ask {
    step: Step,
    method: Method,
    url: String,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
    is_secret: bool,
}

impl Ask {
    /// A call by this method.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { step: Step::Harmless, method, url: url.into(), headers: Vec::new(), body: Vec::new(), is_secret: false }
    }

    /// GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// POST.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// It makes a post.
    #[must_use]
    pub fn making(mut self) -> Self {
        self.step = Step::Making;
        self
    }

    /// Its answer is a login: of one that can't be read nothing but the status is told.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// With a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((HeaderName::from_static(name), value.into()));
        self
    }

    /// With a token (RFC 6750 section 2.1).
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.headers.push((AUTHORIZATION, format!("Bearer {token}")));
        self
    }

    /// With a name and a password (RFC 7617).
    #[must_use]
    pub fn basic(mut self, name: &str, password: &str) -> Self {
        let both = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        self.headers.push((AUTHORIZATION, format!("Basic {both}")));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json", value.to_string().into_bytes())
    }

    /// With a form.
    #[must_use]
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", text.into_bytes())
    }

    /// With any body.
    #[must_use]
    pub fn body(mut self, kind: &str, bytes: Vec<u8>) -> Self {
        self.headers.push((CONTENT_TYPE, kind.to_owned()));
        self.body = bytes;
        self
    }
}

/// Why a call didn't do what it should.
pub struct Failed {
    /// What that means, if the network means nothing particular by it.
    pub outcome: Outcome,
    /// What was answered.
    pub answer: Option<Answer>,
}

impl From<Failed> for Outcome {
    fn from(failed: Failed) -> Self {
        failed.outcome
    }
}

/// The way to one account's network.
pub struct Wire<'a> {
    guard: &'a Guard,
    now: Option<UnixMillis>,
    secrets: Vec<String>,
}

impl<'a> Wire<'a> {
    /// The way with this login, of which nothing gets into what is told. Where nobody says what time it is, a wait of so many seconds is
    /// told by no instant.
    #[must_use]
    pub fn new(guard: &'a Guard, now: impl Into<Option<UnixMillis>>, credential: &Credential) -> Self {
        let now = now.into();
        let password = credential.more.get("password");
        let all = [Some(&credential.access), credential.refresh.as_ref(), password];
        Self { guard, now, secrets: all.into_iter().flatten().flat_map(|secret| spellings(secret)).collect() }
    }

    /// With another secret that answers may repeat.
    #[must_use]
    pub fn hiding(mut self, secret: Option<&str>) -> Self {
        self.secrets.extend(secret.into_iter().flat_map(spellings));
        self
    }

    /// So many seconds from now.
    #[must_use]
    pub fn after(&self, seconds: f64) -> Option<UnixMillis> {
        in_seconds(self.now?, seconds)
    }

    /// When the network asks to be tried again, in whichever header field.
    #[must_use]
    pub fn retry_at(&self, answer: &Answer) -> Option<UnixMillis> {
        limits::retry_at(answer, self.now)
    }

    /// The first words of an answer, without secrets.
    #[must_use]
    pub fn words(&self, answer: &Answer) -> String {
        let text = String::from_utf8_lossy(&answer.body);
        let text = self.secrets.iter().fold(text.into_owned(), |text, secret| text.replace(secret.as_str(), "***"));
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.replace(char::is_control, "");
        format!("{} {}", answer.status, line.chars().take(WORDS_MAX).collect::<String>()).trim_end().to_owned()
    }

    /// An answer that isn't what the network's documents say.
    #[must_use]
    pub fn bad(&self, step: Step, answer: &Answer) -> Outcome {
        let (reason, reply) = (Reason::BadAnswer, self.words(answer));
        match step {
            Step::Making => Outcome::Uncertain { reason, reply },
            Step::Harmless => Outcome::TryLater { reason, reply, not_before: None },
        }
    }

    /// Asks; an answer is one of success (2xx).
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Failed> {
        let step = ask.step;
        let Ask { method, url, headers, body, .. } = ask;
        let call = Call { method, url: &url, headers, body, answer_max: ANSWER_LEN_MAX };
        match self.guard.call(call).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(answer),
            Ok(answer) => Err(Failed { outcome: self.judge(step, &answer), answer: Some(answer) }),
            Err(failure) => Err(Failed { outcome: unanswered(step, failure), answer: None }),
        }
    }

    /// Asks for JSON of this form.
    ///
    /// # Errors
    /// [`Failed`]; an answer of another form may all the same be one to a post that was made.
    pub async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Failed> {
        let (step, is_secret) = (ask.step, ask.is_secret);
        let answer = self.ask(ask).await?;
        match parsed(&answer) {
            Some(value) => Ok(value),
            None if is_secret => {
                // New tokens stand in it, which nobody knows yet to hide.
                let reply = format!("{}, and a login that can't be read", answer.status);
                let outcome = Outcome::TryLater { reason: Reason::BadAnswer, reply, not_before: None };
                Err(Failed { outcome, answer: None })
            }
            None => Err(Failed { outcome: self.bad(step, &answer), answer: Some(answer) }),
        }
    }

    /// What a status means, as far as networks agree.
    fn judge(&self, step: Step, answer: &Answer) -> Outcome {
        let reply = self.words(answer);
        let later = |reason, reply| Outcome::TryLater { reason, reply, not_before: self.retry_at(answer) };
        match answer.status {
            401 => later(Reason::Login, reply),
            400 | 403 | 409 | 413 | 415 | 422 => Outcome::Refused { reason: Reason::ContentRefused, reply },
            429 => later(Reason::Busy, reply),
            408 | 500.. if step == Step::Making => Outcome::Uncertain { reason: Reason::AnswerLost, reply },
            408 | 500.. => later(Reason::Busy, reply),
            // Another address, method or form than the documents have, or no right to it: ours to mend.
            _ => later(Reason::OurError, reply),
        }
    }
}

/// What no answer at all means.
fn unanswered(step: Step, failure: Failure) -> Outcome {
    let later = |reason, reply| Outcome::TryLater { reason, reply, not_before: None };
    match failure {
        Failure::Refused(refused) => later(Reason::OurError, refused.to_string()),
        Failure::Unreachable(reply) => later(Reason::Unreachable, reply),
        Failure::Lost(reply) if step == Step::Making => Outcome::Uncertain { reason: Reason::AnswerLost, reply },
        Failure::Lost(reply) => later(Reason::Timeout, reply),
    }
}

/// The ways in which an answer may repeat a secret.
fn spellings(secret: &str) -> Vec<String> {
    let coded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let pieces = secret.split([':', '/', '?', '&', '=']).filter(|piece| piece.len() >= PIECE_LEN_MIN);
    let all = [secret.to_owned(), coded].into_iter().chain(pieces.map(str::to_owned));
    all.filter(|text| text.len() >= SECRET_LEN_MIN).collect()
}

/// The body of a whole answer as JSON.
#[must_use]
pub fn parsed<T: DeserializeOwned>(answer: &Answer) -> Option<T> {
    if answer.is_broken || answer.is_cut {
        return None;
    }
    serde_json::from_slice(&answer.body).ok()
}

/// A header field with an instant in seconds since 1970.
#[must_use]
pub fn instant_in(answer: &Answer, name: &'static str) -> Option<UnixMillis> {
    let seconds: i64 = answer.header(&HeaderName::from_static(name))?.trim().parse().ok()?;
    Some(UnixMillis(seconds.saturating_mul(1_000)))
}

/// So many seconds from now; what can't be waited for is none.
#[must_use]
pub fn in_seconds(now: UnixMillis, seconds: f64) -> Option<UnixMillis> {
    Duration::try_from_secs_f64(seconds).ok().map(|wait| now.plus(wait))
}

/// Not now, with a wait that the network asked for in its own way.
#[must_use]
pub fn busy(reply: String, not_before: Option<UnixMillis>) -> Outcome {
    Outcome::TryLater { reason: Reason::Busy, reply, not_before }
}

/// What was to be changed or answered was taken away there: that is no fault of the network's.
#[must_use]
pub fn gone() -> Outcome {
    Outcome::Refused { reason: Reason::ContentRefused, reply: "it isn't there any more".to_owned() }
}

/// A duplicate of what isn't found: it may be the post itself.
#[must_use]
pub fn duplicate() -> Outcome {
    Outcome::Uncertain { reason: Reason::AnswerLost, reply: "a duplicate".to_owned() }
}

/// A person must log in again.
#[must_use]
pub fn login(reply: String) -> Outcome {
    Outcome::TryLater { reason: Reason::Login, reply, not_before: None }
}

/// Pictures that networks show.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// A picture and its media type, if it can be had at once and isn't too large: a post doesn't wait for it.
pub async fn picture(guard: &Guard, picture: &Picture, bytes_max: usize) -> Option<(Vec<u8>, String)> {
    let call =
        Call { method: Method::GET, url: &picture.url, headers: Vec::new(), body: Vec::new(), answer_max: bytes_max };
    let answer = guard.call(call).await.ok()?;
    let kind = answer.header(&CONTENT_TYPE)?.split(';').next()?.trim().to_ascii_lowercase();
    let is_whole = answer.status == 200 && !answer.is_cut && !answer.is_broken && !answer.body.is_empty();
    (is_whole && PICTURES.contains(&kind.as_str())).then_some((answer.body, kind))
}
