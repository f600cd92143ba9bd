//! The names of destinations, which deliveries carry: a group of relays, and the kind of recipient domains if these have a
//! pace of their own. `email:main+spare/naver.com` is mail for Naver by the relays `main` and `spare`.

/// The destination of a class of recipient domains, by a group of relays.
#[must_use]
pub fn of_class(group: &str, class: &str) -> String {
    format!("{group}/{class}")
}

/// The group of relays that a destination goes by.
#[must_use]
pub fn group_of(destination: &str) -> &str {
    destination.split_once('/').map_or(destination, |(group, _)| group)
}

/// The destination of a group of relays, whose names it joins in their order.
#[must_use]
pub fn of_group<'a>(relays: impl IntoIterator<Item = &'a str>) -> String {
    format!("email:{}", relays.into_iter().collect::<Vec<_>>().join("+"))
}

/// The destination of an endpoint, which is one by itself: none waits for another.
#[must_use]
pub fn of_endpoint(carrier: &str, id: i64) -> String {
    format!("{carrier}:{id}")
}

/// Whether mail goes there.
#[must_use]
pub fn is_mail(destination: &str) -> bool {
    destination.starts_with("email:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_together_and_taken_apart() {
        let group = of_group(["main", "spare"]);
        assert_eq!(of_class(&group, "naver.com"), "email:main+spare/naver.com");
        assert_eq!(group_of(&of_class(&group, "naver.com")), group);
        assert_eq!(group_of(&group), group);
        assert_eq!(
            (is_mail(&group), of_endpoint("websub", 7), is_mail("websub:7")),
            (true, "websub:7".to_owned(), false)
        );
    }
}
