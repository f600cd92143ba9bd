//! How Meta's interfaces (Facebook, Threads) say that something is wrong
//! (<https://developers.facebook.com/docs/graph-api/guides/error-handling>).

use super::wire::{Failed, Step, Wire, busy, login};
use crate::domain::delivery::{Outcome, Reason};
use serde_json::Value;

/// What a failed call means.
pub enum Meant {
    /// Another post of the same text is there.
    Duplicate(Outcome),
    /// There is no such post.
    NotThere,
    /// This.
    Outcome(Outcome),
}

/// Codes by which a limit is told: of the program, of the person, of the page, of the interface.
const LIMITS: [i64; 6] = [4, 17, 32, 341, 613, 80_001];
/// Codes by which a token is refused, or lacks a right.
const LOGINS: [i64; 4] = [102, 190, 467, 10];
/// Rights that are missing.
const RIGHTS: std::ops::RangeInclusive<i64> = 200..=299;
/// The same post again.
const DUPLICATE: i64 = 506;
/// The subcode of an object that isn't there, or isn't ours.
const NO_OBJECT: i64 = 33;
/// Meta looks upon what we do as spam.
const BLOCKED: i64 = 368;
/// Unknown, or out of order for a while.
const TROUBLE: [i64; 2] = [1, 2];

/// Reads the error object of an answer.
#[must_use]
pub fn read(wire: &Wire<'_>, step: Step, failed: Failed) -> Meant {
    let Some(answer) = &failed.answer else { return Meant::Outcome(failed.outcome) };
    if (200..300).contains(&answer.status) {
        return Meant::Outcome(failed.outcome);
    }
    let error = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["error"].take();
    let (code, subcode) = (error["code"].as_i64(), error["error_subcode"].as_i64());
    let reply = wire.words(answer);
    let Some(code) = code else { return Meant::Outcome(failed.outcome) };
    if code == 100 && subcode == Some(NO_OBJECT) {
        return Meant::NotThere;
    }
    Meant::Outcome(match code {
        _ if LIMITS.contains(&code) => busy(reply, wire.retry_at(answer)),
        _ if LOGINS.contains(&code) || RIGHTS.contains(&code) => login(reply),
        DUPLICATE => {
            return Meant::Duplicate(Outcome::Refused { reason: Reason::ContentRefused, reply });
        }
        BLOCKED => Outcome::TryLater { reason: Reason::Policy, reply, not_before: None },
        _ if TROUBLE.contains(&code) && step == Step::Making => {
            Outcome::Uncertain { reason: Reason::AnswerLost, reply }
        }
        _ if TROUBLE.contains(&code) => busy(reply, None),
        _ => failed.outcome,
    })
}

/// What asks for the page that follows, until there is none (<https://developers.facebook.com/docs/graph-api/results>). The address in
/// `next` holds a token, so it isn't asked as it stands; Threads gives the place only.
#[must_use]
pub fn next(paging: &Value) -> Option<String> {
    let after: String = url::form_urlencoded::byte_serialize(paging["cursors"]["after"].as_str()?.as_bytes()).collect();
    Some(format!("&after={after}"))
}
