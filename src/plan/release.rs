//! When a story becomes public and for which readers it is released: a pure decision (design rules 4 and 7).

use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::store::changes::{Change, ChangeKind};
use crate::store::releases::{Looked, Story, Variant};
use std::time::Duration;

/// What the decision goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The reader languages of this installation, in order of preference for fallback.
    pub languages: Vec<Language>,
    /// How long a reader's language waits for an announced translation.
    pub translation_wait: Duration,
}

/// Looks at one story at `now` and adds to `looked` what changes.
pub fn look(story: &Story, rules: &Rules, now: UnixMillis, looked: &mut Looked) {
    let mut variants: Vec<Variant> = story.variants.clone();
    for variant in &mut variants {
        advance(story, variant, now, looked);
    }
    let first_public_at = story.first_public_at.or_else(|| variants.iter().filter_map(|v| v.public_at).min());
    // Those that may be shown and aren't held by the backfill guard.
    let owed: Vec<&Variant> = variants.iter().filter(|v| showable(v) && v.backfill_at.is_none()).collect();
    let mut next_look = variants.iter().filter_map(|variant| next_change(variant, now)).min();
    for language in &rules.languages {
        if story.released.contains(language) {
            continue;
        }
        match choose(language, &owed, rules, first_public_at, now) {
            Choice::Release(variant) => {
                looked.changes.push(change(ChangeKind::Released, story, variant, language, now))
            }
            Choice::Wait(until) => next_look = Some(next_look.map_or(until, |next| next.min(until))),
            Choice::Nothing => {}
        }
    }
    looked.stories.push((story.id.clone(), first_public_at, next_look));
}

/// Until when readers of a language wait for an announced translation of a story, if they do.
#[must_use]
pub fn waits_until(story: &Story, rules: &Rules, language: &Language, now: UnixMillis) -> Option<UnixMillis> {
    let owed: Vec<&Variant> = story.variants.iter().filter(|v| showable(v) && v.backfill_at.is_none()).collect();
    match choose(language, &owed, rules, story.first_public_at, now) {
        Choice::Wait(until) => Some(until),
        Choice::Release(_) | Choice::Nothing => None,
    }
}

/// Brings one variant up to `now`: public when its time has come, expired when it is over.
fn advance(story: &Story, variant: &mut Variant, now: UnixMillis, looked: &mut Looked) {
    let over = variant.expires_at.is_some_and(|at| at <= now);
    // What has expired stays so, whatever a later revision says: it doesn't become public for the first time.
    if variant.withdrawn_at.is_some() || variant.expired_at.is_some() {
        return;
    }
    if variant.public_at.is_none() && variant.public_due_at <= now && !over {
        variant.public_at = Some(now);
        looked.public.push(variant.post_id.clone());
        looked.changes.push(change(ChangeKind::Public, story, variant, &variant.language, now));
    }
    if over {
        variant.expired_at = Some(now);
        looked.expired.push(variant.post_id.clone());
        if variant.public_at.is_some() {
            looked.changes.push(change(ChangeKind::Expired, story, variant, &variant.language, now));
        }
    }
}

/// Whether a variant may be shown now.
#[must_use]
pub fn showable(variant: &Variant) -> bool {
    variant.public_at.is_some() && variant.withdrawn_at.is_none() && variant.expired_at.is_none()
}

fn next_change(variant: &Variant, now: UnixMillis) -> Option<UnixMillis> {
    if variant.withdrawn_at.is_some() || variant.expired_at.is_some() {
        return None;
    }
    let public = variant.public_at.is_none().then_some(variant.public_due_at);
    [public, variant.expires_at].into_iter().flatten().filter(|at| *at > now).min()
}

enum Choice<'a> {
    Release(&'a Variant),
    Wait(UnixMillis),
    Nothing,
}

/// Which variant readers of `language` get, now or after waiting for a translation.
fn choose<'a>(
    language: &Language,
    owed: &[&'a Variant],
    rules: &Rules,
    first_public_at: Option<UnixMillis>,
    now: UnixMillis,
) -> Choice<'a> {
    let Some(first_public_at) = first_public_at else { return Choice::Nothing };
    let own = language.best_of(owed.iter().map(|variant| &variant.language));
    if let Some(own) = own {
        return owed.iter().find(|variant| variant.language == *own).map_or(Choice::Nothing, |v| Choice::Release(v));
    }
    let Some(fallback) = fallback(owed, &rules.languages) else { return Choice::Nothing };
    let announced = owed.iter().any(|variant| language.best_of(&variant.languages_expected).is_some());
    let urgent = owed.iter().any(|variant| variant.urgent);
    let until = first_public_at.plus(rules.translation_wait);
    if announced && !urgent && until > now { Choice::Wait(until) } else { Choice::Release(fallback) }
}

/// The first variant in the installation's order of languages, else the first of any.
fn fallback<'a>(owed: &[&'a Variant], order: &[Language]) -> Option<&'a Variant> {
    let preferred = order.iter().find_map(|language| owed.iter().find(|variant| variant.language == *language));
    preferred.or(owed.first()).copied()
}

fn change(kind: ChangeKind, story: &Story, variant: &Variant, language: &Language, at: UnixMillis) -> Change {
    Change {
        kind,
        post_id: variant.post_id.clone(),
        story_id: story.id.clone(),
        language: language.as_str().to_owned(),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(tag: &str) -> Language {
        Language::parse(tag).expect("a tag")
    }

    fn variant(tag: &str, expected: &[&str]) -> Variant {
        Variant {
            post_id: format!("post-{tag}"),
            language: language(tag),
            languages_expected: expected.iter().map(|tag| language(tag)).collect(),
            urgent: false,
            public_due_at: UnixMillis(1_000),
            expires_at: None,
            public_at: None,
            expired_at: None,
            withdrawn_at: None,
            backfill_at: None,
        }
    }

    fn rules() -> Rules {
        let languages = ["ko", "en", "zh"].map(language).to_vec();
        Rules { languages, translation_wait: Duration::from_secs(10) }
    }

    fn looked(variants: Vec<Variant>, now: i64) -> (Vec<(String, String)>, Option<i64>) {
        let story = Story { id: "s".to_owned(), first_public_at: None, variants, released: Vec::new() };
        let mut looked = Looked::default();
        look(&story, &rules(), UnixMillis(now), &mut looked);
        let released = looked.changes.iter().filter(|change| change.kind == ChangeKind::Released);
        let released = released.map(|change| (change.language.clone(), change.post_id.clone())).collect();
        (released, looked.stories[0].2.map(|at| at.0))
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(language, post)| ((*language).to_owned(), (*post).to_owned())).collect()
    }

    #[test]
    fn nothing_before_its_time() {
        assert_eq!(looked(vec![variant("ko", &[])], 999), (vec![], Some(1_000)));
    }

    #[test]
    fn unannounced_languages_fall_back_at_once() {
        let expected = pairs(&[("ko", "post-ko"), ("en", "post-ko"), ("zh", "post-ko")]);
        assert_eq!(looked(vec![variant("ko", &[])], 1_000), (expected, None));
    }

    #[test]
    fn an_announced_translation_is_waited_for() {
        let mut ko = variant("ko", &["en"]);
        assert_eq!(looked(vec![ko.clone()], 1_000), (pairs(&[("ko", "post-ko"), ("zh", "post-ko")]), Some(11_000)));
        ko.public_at = Some(UnixMillis(1_000));
        let all = pairs(&[("ko", "post-ko"), ("en", "post-ko"), ("zh", "post-ko")]);
        assert_eq!(looked(vec![ko], 11_000), (all, None));
    }

    #[test]
    fn urgent_waits_for_nothing_and_backfill_is_owed_to_nobody() {
        let mut ko = variant("ko", &["en"]);
        ko.urgent = true;
        assert_eq!(looked(vec![ko.clone()], 1_000).0.len(), 3);
        ko.backfill_at = Some(UnixMillis(0));
        assert_eq!(looked(vec![ko], 1_000), (vec![], None));
    }

    #[test]
    fn a_withdrawn_or_expired_variant_is_never_released() {
        let mut gone = variant("ko", &[]);
        gone.withdrawn_at = Some(UnixMillis(900));
        let mut over = variant("en", &[]);
        over.expires_at = Some(UnixMillis(950));
        assert_eq!(looked(vec![gone, over], 1_000), (vec![], None));
    }
}
