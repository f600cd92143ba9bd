//! Reads a calendar file as strictly as RFC 5545 is written: what allim wrote must come back.

use super::LINE_LEN_MAX;

/// Components within components, at most: a calendar, its zone, that zone's rule.
const DEPTH_MAX: usize = 3;

/// The UIDs of the events of a file, in their order.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<String>, &'static str> {
    let whole = text.strip_suffix("\r\n").ok_or("it doesn't end with a line's end")?;
    if whole.split("\r\n").any(|line| line.len() > LINE_LEN_MAX) {
        return Err("a line is too long");
    }
    let unfolded = whole.replace("\r\n ", "");
    let (mut open, mut uids, mut event): (Vec<&str>, Vec<String>, Vec<&str>) = (Vec::new(), Vec::new(), Vec::new());
    for (number, line) in unfolded.split("\r\n").enumerate() {
        let (name, value) = property(line).ok_or("a line isn't a property")?;
        if open.is_empty() && (number > 0 || (name, value) != ("BEGIN", "VCALENDAR")) {
            return Err("something stands outside the calendar");
        }
        match name {
            "BEGIN" if open.len() < DEPTH_MAX => {
                open.push(value);
                event.clear();
            }
            "BEGIN" => return Err("components are nested too deep"),
            "END" => {
                if open.pop() != Some(value) {
                    return Err("a component ends that hadn't begun");
                }
                let once = |wanted: &str| event.iter().filter(|name| **name == wanted).count() == 1;
                if value == "VEVENT" && !["UID", "DTSTAMP", "DTSTART"].into_iter().all(once) {
                    return Err("an event lacks what each must have");
                }
            }
            name => {
                if name == "UID" {
                    uids.push(value.to_owned());
                }
                event.push(name);
            }
        }
    }
    if open.is_empty() { Ok(uids) } else { Err("a component doesn't end") }
}

/// Name and value of a content line (section 3.1); the colon that parts them isn't within quotes.
fn property(line: &str) -> Option<(&str, &str)> {
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let mut is_quoted = false;
    let colon = line.char_indices().find_map(|(at, c)| {
        is_quoted ^= c == '"';
        (c == ':' && !is_quoted).then_some(at)
    })?;
    let name = line[..colon].split(';').next()?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then_some((name, &line[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_no_calendar_is_refused() {
        let event =
            "BEGIN:VEVENT\r\nUID:1@a\r\nDTSTAMP:19700101T000000Z\r\nDTSTART;VALUE=DATE:19700101\r\nEND:VEVENT\r\n";
        let file = |inner: &str| format!("BEGIN:VCALENDAR\r\n{inner}END:VCALENDAR\r\n");
        assert_eq!(read(&file(event)), Ok(vec!["1@a".to_owned()]));
        let long = format!("SUMMARY:{}\r\n", "a".repeat(80));
        for wrong in [
            file(event).replace("\r\n", "\n"),
            file(event).replace("UID", "X"),
            file(event).replace("END:VEVENT\r\n", ""),
            file("no property\r\n"),
            file("SUMMARY:\u{7}\r\n"),
            file(&long),
            file(event) + "BEGIN:VEVENT\r\n",
            String::new(),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
