//! Names that the public DNS doesn't have, so that nothing about them can be looked up and no large receiver is ever asked to
//! take mail from them.

/// Top-level names for tests, examples and private networks: RFC 2606 section 2, RFC 6761, RFC 6762, RFC 7686, RFC 9476, and
/// `internal`, which ICANN keeps for private use.
const TOPS: [&str; 8] = ["test", "example", "invalid", "localhost", "local", "onion", "alt", "internal"];
/// Names below others: RFC 2606 section 3, RFC 8375.
const DOMAINS: [&str; 4] = ["example.com", "example.net", "example.org", "home.arpa"];

/// Whether a domain is nowhere in the public DNS.
#[must_use]
pub fn is_nowhere(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let top = domain.rsplit('.').next().unwrap_or_default();
    let below = |outer: &str| domain.strip_suffix(outer).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !domain.contains('.') || TOPS.contains(&top) || DOMAINS.iter().any(|outer| below(outer))
}

#[cfg(test)]
mod tests {
    use super::is_nowhere;

    #[test]
    fn reserved_names_are_nowhere() {
        for domain in
            ["example.org", "news.example.org", "a.test", "x.invalid", "localhost", "mail.home.arpa", "A.LOCAL"]
        {
            assert!(is_nowhere(domain), "{domain}");
        }
        for domain in ["stepi.re.kr", "notexample.org", "example.org.kr", "test.kr", "gaon.zz"] {
            assert!(!is_nowhere(domain), "{domain}");
        }
    }
}
