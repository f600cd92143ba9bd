//! After a change of the configuration: what waits for a way out that is gone goes another way.

use crate::domain::destination::group_of;
use crate::store::reroute::{self, MOVED_MAX};
use crate::store::{Store, StoreError};

/// Moves open deliveries of destinations that aren't `known` to one that is: a class of domains to its group of relays,
/// what is left to the first. Returns how many rows and batches that were.
///
/// # Errors
/// [`StoreError`] from the database; a later call goes on where this one stopped.
pub async fn run(store: &Store, known: &[String]) -> Result<i64, StoreError> {
    let mut moved = 0;
    for from in store.read(reroute::named).await? {
        let Some(to) = instead_of(&from, known).map(str::to_owned) else { continue };
        let mut here = 0;
        loop {
            let (one, other) = (from.clone(), to.clone());
            let step = store.write(move |tx| reroute::step(tx, &one, &other)).await?;
            here += step;
            if step < MOVED_MAX {
                break;
            }
        }
        tracing::warn!(
            from,
            to,
            rows_and_batches = here,
            "the configuration has no such destination; its mail goes by another"
        );
        moved += here;
    }
    Ok(moved)
}

/// Where the mail of a destination goes instead, if the destination isn't known.
fn instead_of<'a>(from: &str, known: &'a [String]) -> Option<&'a str> {
    if known.iter().any(|name| name == from) {
        return None;
    }
    let group = known.iter().find(|name| *name == group_of(from));
    group.or(known.first()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_goes_with_its_group_and_a_lost_group_with_the_first() {
        let known = ["email:main", "email:spare", "email:main/naver.com"].map(str::to_owned);
        assert_eq!(instead_of("email:spare/daum.net", &known), Some("email:spare"));
        assert_eq!(instead_of("email:old/naver.com", &known), Some("email:main"));
        assert_eq!(instead_of("email:old", &known), Some("email:main"));
        assert_eq!(instead_of("email:main/naver.com", &known), None);
    }
}
