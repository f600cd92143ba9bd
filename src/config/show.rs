//! The configuration as it is in effect, for people to read: defaults and environment included, secrets left out.

use super::file::File;

/// What stands where a secret was.
const HIDDEN: &str = "***";

/// The file as TOML, without the passwords that URLs may hold. Files that hold passwords are named, not read.
///
/// # Errors
/// When a value can't be written as TOML, which would be a mistake of ours.
pub fn redacted(file: &File) -> Result<String, toml::ser::Error> {
    let mut file = file.clone();
    file.store.url = without_password(&file.store.url);
    if let Some(amqp) = &mut file.intake.amqp {
        amqp.url = without_password(&amqp.url);
    }
    toml::to_string_pretty(&file)
}

/// A URL with its password hidden, wherever it stands: before the host, or among the parameters as PostgreSQL takes it.
#[must_use]
pub fn without_password(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        // PostgreSQL takes lists of hosts and ports, which are no URL: rather nothing is shown than a password.
        return text.split_once("://").map_or_else(|| text.to_owned(), |(scheme, _)| format!("{scheme}://{HIDDEN}"));
    };
    if url.cannot_be_a_base() {
        return text.to_owned();
    }
    if url.password().is_some() {
        // Can only fail where there is no host, and then there is no password either.
        let _ = url.set_password(Some(HIDDEN));
    }
    let secret = |name: &str| name.to_ascii_lowercase().contains("password");
    if url.query_pairs().any(|(name, _)| secret(&name)) {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if secret(&name) { HIDDEN.to_owned() } else { value.into_owned() };
                (name.into_owned(), value)
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let hidden = [
            "postgres://allim:geheim@db/allim",
            "postgres://allim@db/allim?password=geheim&sslmode=require",
            "postgres://allim:geheim@one:5432,two:5432/allim",
            "amqps://user:geheim@mq:5671/%2f",
        ];
        for text in hidden {
            let shown = without_password(text);
            assert!(!shown.contains("geheim") && shown.contains("***"), "{shown}");
        }
        assert_eq!(without_password("sqlite:allim.sqlite"), "sqlite:allim.sqlite");
        assert_eq!(without_password("amqp://mq"), "amqp://mq");
    }
}
