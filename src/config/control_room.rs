//! Checks what is said of the control room.

use super::{File, Mistake};
use crate::web::admin::Settings;
use std::net::SocketAddr;
use std::time::Duration;

/// Shorter sessions would end while somebody writes.
const SESSION_MIN: Duration = Duration::from_secs(5 * 60);
/// Longer ones are those of machines that were forgotten.
const SESSION_MAX: Duration = Duration::from_secs(90 * 86_400);

/// The address of the control room and what is set of it, if there is one.
pub(super) fn check(file: &File) -> Result<Option<(SocketAddr, Settings)>, Mistake> {
    let table = &file.admin;
    for (value, key) in [(table.session_idle, "admin.session_idle"), (table.session_max, "admin.session_max")] {
        if !(SESSION_MIN..=SESSION_MAX).contains(&value) {
            return Err(Mistake::new(key, "must be between 5m and 90d"));
        }
    }
    let Some(listen) = &table.listen else { return Ok(None) };
    let wanted = "must be an address and a port, such as 127.0.0.1:8026";
    let address: SocketAddr = listen.parse().map_err(|_| Mistake::new("admin.listen", wanted))?;
    if *listen == file.web.listen {
        return Err(Mistake::new("admin.listen", "must not be web.listen: the control room is no page for readers"));
    }
    let url = table.url.as_deref().map(|url| own_url(url).ok_or_else(|| Mistake::new("admin.url", WANTED_URL)));
    let url = url.transpose()?;
    if url.is_none() && !address.ip().is_loopback() {
        let reason = "others can reach this address, so say in admin.url by which name (https://…) they do";
        return Err(Mistake::new("admin.listen", reason));
    }
    let hosts = hosts(address, url.as_ref());
    let url = url.map(|url| url.as_str().trim_end_matches('/').to_owned());
    let (session_idle, session_max) = (table.session_idle, table.session_max);
    Ok(Some((address, Settings { url, hosts, session_idle, session_max })))
}

const WANTED_URL: &str = "must be https://NAME, without a path; http:// only for this machine itself";

fn own_url(text: &str) -> Option<url::Url> {
    let url = url::Url::parse(text).ok()?;
    let is_here = matches!(url.host()?, url::Host::Domain("localhost"))
        || matches!(url.host()?, url::Host::Ipv4(ip) if ip.is_loopback())
        || matches!(url.host()?, url::Host::Ipv6(ip) if ip.is_loopback());
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (is_safe && is_bare).then_some(url)
}

/// The names by which it may be asked for: that of the proxy first.
fn hosts(address: SocketAddr, url: Option<&url::Url>) -> Vec<String> {
    let of_url = url.and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    let port = address.port();
    let own = [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
    of_url.into_iter().chain([address.to_string()]).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::own_url;

    #[test]
    fn addresses_are_safe_and_bare() {
        for good in ["https://allim.example.org", "https://a.example:8443/", "http://localhost:8026", "http://[::1]:1"]
        {
            assert!(own_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://allim.example.org",
            "https://a.example/admin",
            "ftp://a.example",
            "a.example",
            "https://u@a.example",
        ] {
            assert!(own_url(bad).is_none(), "{bad}");
        }
    }
}
