//! How a person lets us in at networks that speak OAuth 2 (RFC 6749), with proof of possession of the code (PKCE, RFC 7636).

use super::network::Credential;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Outcome;
use crate::send::carrier::Later;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// What is drawn for one login: nobody else may know it before it is over.
#[derive(Clone)]
pub struct Draw {
    /// Comes back with the code, and tells that the answer is to our question.
    pub state: String,
    /// Told when the code is exchanged.
    pub verifier: String,
}

impl Draw {
    /// From 64 random octets.
    #[must_use]
    pub fn new(random: &[u8; 64]) -> Self {
        let (state, verifier) = random.split_at(16);
        Self { state: URL_SAFE_NO_PAD.encode(state), verifier: URL_SAFE_NO_PAD.encode(verifier) }
    }

    /// What is told of the verifier beforehand (RFC 7636 section 4.2, `S256`).
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()))
    }

    /// The code in the address that the browser was led to (RFC 6749 section 4.1.2).
    ///
    /// # Errors
    /// What is wrong with it, in words for the person who pasted it.
    pub fn code(&self, redirected: &str) -> Result<String, String> {
        let url = url::Url::parse(redirected.trim()).map_err(|_| "that is no address".to_owned())?;
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        if let Some(error) = value("error") {
            return Err(format!("the network said no: {}", error.chars().take(100).collect::<String>()));
        }
        let is_ours = value("state").is_some_and(|state| state == self.state);
        if !is_ours {
            return Err("that answers another question: begin again, and paste what this login led to".to_owned());
        }
        value("code").filter(|code| !code.is_empty()).ok_or_else(|| "there is no code in it".to_owned())
    }
}

/// A network at which a person says yes in a browser.
pub trait Login: Send + Sync {
    /// The address that a person opens.
    fn page(&self, draw: &Draw) -> String;

    /// Makes a login of the code.
    fn exchange<'a>(&'a self, code: &'a str, draw: &'a Draw, now: UnixMillis)
    -> Later<'a, Result<Credential, Outcome>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let draw = Draw { state: "s".to_owned(), verifier };
        assert_eq!(draw.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn only_the_answer_to_our_own_question_is_taken() {
        let draw = Draw::new(&[7; 64]);
        let with = |query: &str| draw.code(&format!("https://localhost/?{query}"));
        assert_eq!(with(&format!("state={}&code=abc", draw.state)).as_deref(), Ok("abc"));
        assert!(with("state=other&code=abc").is_err() && with("code=abc").is_err());
        assert!(with("error=access_denied").is_err_and(|why| why.contains("access_denied")));
        assert!(draw.code("abc").is_err());
        assert!((43..=128).contains(&draw.verifier.len()), "RFC 7636 section 4.1");
    }
}
