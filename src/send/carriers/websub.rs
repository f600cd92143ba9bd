//! Our own hub: tells the subscribers of a feed what is new in it (W3C WebSub, section 7). Each gets a feed that holds the one entry
//! that is new or was revised, signed if it gave a secret (section 7.1).

use crate::domain::delivery::Outcome;
use crate::domain::feed;
use crate::guard::{Call, Guard};
use crate::render::RenderError;
use crate::render::feed::{History, House, Kind, Which};
use crate::render::templates::Templates;
use crate::send::carrier::{Gate, Later};
use crate::send::push::courier::{Courier, News, Push, judge};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName, LINK};
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha384, Sha512};
use std::sync::Arc;

/// Octets of an answer that are kept: nobody needs them but a person who looks for a fault.
const ANSWER_MAX: usize = 1_024;
/// The header field of the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature");

/// How deliveries are signed. SHA-1, which the specification knows too, is not offered any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// HMAC with SHA-256.
    #[default]
    Sha256,
    /// HMAC with SHA-384.
    Sha384,
    /// HMAC with SHA-512.
    Sha512,
}

impl Signature {
    /// What the header field says of a body.
    #[must_use]
    pub fn sign(self, secret: &str, body: &[u8]) -> String {
        // A key may have any length.
        macro_rules! mac {
            ($hash:ty) => {
                <Hmac<$hash>>::new_from_slice(secret.as_bytes())
                    .map(|mac| crate::domain::ids::hex(&mac.chain_update(body).finalize().into_bytes()))
                    .unwrap_or_default()
            };
        }
        match self {
            Self::Sha256 => format!("sha256={}", mac!(Sha256)),
            Self::Sha384 => format!("sha384={}", mac!(Sha384)),
            Self::Sha512 => format!("sha512={}", mac!(Sha512)),
        }
    }
}

/// The hub as a carrier.
pub struct WebSub {
    /// The way out.
    pub guard: Guard,
    /// What feeds have in common.
    pub house: Arc<House>,
    /// How deliveries are signed.
    pub signature: Signature,
}

impl WebSub {
    async fn push(&self, push: &Push<'_>, gate: &mut Gate) -> Outcome {
        let endpoint = push.endpoint;
        gate.ask();
        let kind = Which::at(&self.house, &endpoint.subject)
            .map_or("application/octet-stream", |which| which.kind.media_type());
        let link = self.house.link_header(&format!("{}{}", self.house.origin, endpoint.subject));
        let mut headers = vec![(CONTENT_TYPE, format!("{kind}; charset=utf-8")), (LINK, link)];
        if let Some(secret) = &endpoint.secret {
            headers.push((SIGNATURE, self.signature.sign(&secret.0, push.body.as_bytes())));
        }
        if !gate.pass().await {
            return Outcome::NotAllowed;
        }
        let body = push.body.as_bytes().to_vec();
        let call = Call { method: Method::POST, url: &endpoint.url, headers, body, answer_max: ANSWER_MAX };
        judge(&self.guard.call(call).await, push.now)
    }
}

impl Courier for WebSub {
    fn carrier(&self) -> &'static str {
        feed::WEBSUB
    }

    fn write(&self, subject: &str, news: &News, templates: &Templates) -> Result<String, RenderError> {
        let which = Which::at(&self.house, subject)
            .ok_or(RenderError::Field { field: "feed", reason: "there is no such feed any more" })?;
        let Kind::Entries(format) = which.kind else { return Err(RenderError::Empty) };
        let (posts, gone) = match news {
            News::Post(showable) => (std::slice::from_ref(&**showable), &[][..]),
            News::Gone { tombstone, .. } => (&[][..], std::slice::from_ref(tombstone)),
        };
        let feed = self.house.write(&which, format, posts, gone, &History::default(), templates)?;
        if !feed.left_out.is_empty() {
            return Err(RenderError::Field { field: "post", reason: "it would spoil the feed" });
        }
        String::from_utf8(feed.bytes).map_err(|_| RenderError::Field { field: "feed", reason: "it isn't UTF-8" })
    }

    fn carry<'a>(&'a self, push: &'a Push<'a>, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(self.push(push, gate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 section 4.3.
    #[test]
    fn signatures_are_those_of_the_test_vectors() {
        let sign = |how: Signature| how.sign("Jefe", b"what do ya want for nothing?");
        assert_eq!(sign(Signature::Sha256), "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(sign(Signature::Sha384).starts_with("sha384=af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47"));
        assert!(sign(Signature::Sha512).starts_with("sha512=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd6"));
    }
}
