//! Signed requests (Standard Webhooks), as partners get them.

use super::{Answer, Call, Failure, Guard};
use crate::domain::clock::UnixMillis;
use crate::domain::standard_webhook::{self, Key};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName};

/// Octets of an answer that are kept: nobody needs them but a person who looks for a fault.
const ANSWER_MAX: usize = 1_024;

/// What is sent, signed.
pub struct Signed<'a> {
    /// Where.
    pub url: &'a str,
    /// The same over all attempts.
    pub id: &'a str,
    /// When this attempt is made.
    pub now: UnixMillis,
    /// What it is signed with.
    pub keys: &'a [Key],
    /// What the body is.
    pub content_type: &'a str,
    /// Further header fields, which aren't signed.
    pub more: Vec<(HeaderName, String)>,
    /// The body.
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// The request.
    #[must_use]
    pub fn call(&self) -> Call<'_> {
        let signature = standard_webhook::sign(self.keys, self.id, self.now, self.body);
        let mut headers = vec![
            (CONTENT_TYPE, self.content_type.to_owned()),
            (HeaderName::from_static(standard_webhook::ID), self.id.to_owned()),
            (HeaderName::from_static(standard_webhook::TIMESTAMP), standard_webhook::seconds(self.now)),
            (HeaderName::from_static(standard_webhook::SIGNATURE), signature),
        ];
        headers.extend(self.more.iter().cloned());
        let (url, body) = (self.url, self.body.to_vec());
        Call { method: Method::POST, url, headers, body, answer_max: ANSWER_MAX }
    }
}

impl Guard {
    /// Sends something signed.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn post_signed(&self, signed: &Signed<'_>) -> Result<Answer, Failure> {
        self.call(signed.call()).await
    }
}
