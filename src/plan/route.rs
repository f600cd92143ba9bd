//! Recipient domains that have a pace of their own get a destination of their own: pure.

use crate::domain::destination;
use std::collections::{BTreeMap, HashMap};

/// Which domains belong together, and what their destinations are called.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    class_of: HashMap<String, usize>,
    /// The destinations of a group of relays, by class.
    destinations: BTreeMap<String, Vec<String>>,
}

impl Classes {
    /// Classes by name with their domains, for these groups of relays.
    #[must_use]
    pub fn new<'a>(
        classes: impl IntoIterator<Item = (&'a str, &'a [String])>,
        groups: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let (mut class_of, mut names) = (HashMap::new(), Vec::new());
        for (name, domains) in classes {
            class_of.extend(domains.iter().map(|domain| (domain.clone(), names.len())));
            names.push(name);
        }
        let of_group = |group: &str| names.iter().map(|name| destination::of_class(group, name)).collect();
        let destinations = groups.into_iter().map(|group| (group.to_owned(), of_group(group))).collect();
        Self { class_of, destinations }
    }

    /// Where mail for a domain goes that goes by this group of relays.
    #[must_use]
    pub fn destination<'a>(&'a self, group: &'a str, domain: &str) -> &'a str {
        let class = self.class_of.get(domain);
        class.and_then(|class| self.destinations.get(group)?.get(*class)).map_or(group, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_a_class_share_a_destination_and_others_the_groups() {
        let daum = ["daum.net".to_owned(), "hanmail.net".to_owned()];
        let classes = Classes::new([("daum.net", &daum[..])], ["email:main"]);
        for domain in &daum {
            assert_eq!(classes.destination("email:main", domain), "email:main/daum.net");
        }
        assert_eq!(classes.destination("email:main", "example.net"), "email:main");
        assert_eq!(classes.destination("email:folder", "daum.net"), "email:folder", "a folder has no pace");
    }
}
