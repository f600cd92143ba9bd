use super::*;

fn freeze(name: &str, first: &str, last: &str, zone: &str, way: Way) -> Freeze {
    let day = |text: &str| text.parse().expect("a day");
    let (name, zone) = (name.to_owned(), zone.to_owned());
    Freeze { name, first: day(first), last: day(last), zone, digests: Vec::new(), way, reason: String::new() }
}

fn at(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<jiff::Zoned>().expect("an instant").timestamp().as_millisecond())
}

#[test]
fn a_day_is_as_long_as_its_zone_makes_it() {
    // 23 hours in the spring of Berlin, 25 in autumn; in Santiago the day of the gap begins at one.
    let hours = |day: &str, zone: &str| {
        let (from, until) = freeze("x", day, day, zone, Way::Skip).span().expect("a span");
        (until.0 - from.0) / 3_600_000
    };
    assert_eq!((hours("2026-03-29", "Europe/Berlin"), hours("2026-10-25", "Europe/Berlin")), (23, 25));
    assert_eq!((hours("2026-09-06", "America/Santiago"), hours("2026-11-24", "Asia/Seoul")), (23, 24));
    let gap = freeze("x", "2026-09-06", "2026-09-06", "America/Santiago", Way::Skip);
    assert!(!gap.holds("weekly", at("2026-09-05T23:59[America/Santiago]")));
    assert!(gap.holds("weekly", at("2026-09-06T01:00[America/Santiago]")));
    let overlap = freeze("x", "2026-10-25", "2026-10-25", "Europe/Berlin", Way::Skip);
    assert!(overlap.holds("weekly", at("2026-10-25T02:30+01:00[Europe/Berlin]")), "the second pass of the hour too");
    assert!(!overlap.holds("weekly", at("2026-10-26T00:00[Europe/Berlin]")));
}

#[test]
fn the_days_are_those_of_the_freeze_whatever_the_readers_zone() {
    let seollal = freeze("설날", "2027-02-06", "2027-02-08", "Asia/Seoul", Way::Skip);
    assert!(seollal.holds("weekly", at("2027-02-05T16:00[Europe/Berlin]")), "midnight in Seoul");
    assert!(!seollal.holds("weekly", at("2027-02-08T16:00[Europe/Berlin]")));
    let mut one = seollal;
    one.digests = vec!["weekly".to_owned()];
    let noon = at("2027-02-07T12:00[Asia/Seoul]");
    assert!(one.holds("weekly", noon) && !one.holds("daily", noon));
}

#[test]
fn an_issue_that_is_put_off_comes_at_its_hour_on_the_first_free_day() {
    let freezes = [
        freeze("a", "2026-10-24", "2026-10-25", "Europe/Berlin", Way::After),
        freeze("b", "2026-10-26", "2026-10-26", "Europe/Berlin", Way::After),
    ];
    let due = at("2026-10-24T09:00[Europe/Berlin]");
    let wanted = Standing::PutOff(&freezes[0], at("2026-10-27T09:00[Europe/Berlin]"));
    assert_eq!(
        standing(&freezes, "weekly", due, "Europe/Berlin"),
        wanted,
        "past the day of 25 hours and the next freeze"
    );
    assert_eq!(standing(&freezes, "weekly", at("2026-10-27T09:00[Europe/Berlin]"), "Europe/Berlin"), Standing::Free);
    let both = [freezes[0].clone(), freeze("c", "2026-10-24", "2026-10-24", "Europe/Berlin", Way::Skip)];
    assert_eq!(standing(&both, "weekly", due, "Europe/Berlin"), Standing::Skipped(&both[1]), "one that skips wins");
}
