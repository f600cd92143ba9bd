//! Where a partner stands among the changes: opaque to it, and of one history of changes, which ends with a restore.

use crate::domain::ids;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The version of the form, so that another can stand beside it.
const FORM: &str = "1";
/// Characters of the checksum: against cuts and slips of the hand. Nobody gains anything by making one up.
const SUM_LEN: usize = 8;

/// A place among the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Of which history.
    pub epoch: String,
    /// The number of the last change before it.
    pub seq: i64,
}

impl Cursor {
    pub(super) fn write(&self) -> String {
        let text = format!("{FORM}.{}.{}", self.epoch, self.seq);
        URL_SAFE_NO_PAD.encode(format!("{text}.{}", sum(&text)))
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (said, given) = text.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (form, epoch, seq) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        let is_good = form == FORM && parts.next().is_none() && seq >= 0 && given == sum(said);
        is_good.then(|| Self { epoch: epoch.to_owned(), seq })
    }
}

fn sum(text: &str) -> String {
    ids::content_hash(text.as_bytes())[..SUM_LEN].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_in_no_other_way() {
        let cursor = Cursor { epoch: "00ff".to_owned(), seq: 1_507 };
        let text = cursor.write();
        assert_eq!(Cursor::read(&text), Some(cursor));
        for end in 1..text.len() {
            assert_eq!(Cursor::read(&text[..end]), None, "{end}");
        }
        let other = URL_SAFE_NO_PAD.encode(format!("1.00ff.1508.{}", sum("1.00ff.1507")));
        let negative = URL_SAFE_NO_PAD.encode(format!("1.00ff.-1.{}", sum("1.00ff.-1")));
        for bad in ["", "1507", "한강", &other, &negative, &URL_SAFE_NO_PAD.encode("1.2"), &format!("{text}A")] {
            assert_eq!(Cursor::read(bad), None, "{bad}");
        }
    }
}
