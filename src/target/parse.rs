//! Parses servers, accounts and hashtags as users write them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::{Host, Url};

use super::AccountRef;

/// Returns the scheme, host and port of the server that `text` names: a host (https is
/// assumed), `host:port`, or a URL with the path `/`.
///
/// # Errors
/// What is wrong and what to write instead. A password or a query, which may be a
/// secret, is not repeated.
pub fn parse_target(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty; write a host such as mastodon.social".to_owned());
    }
    // The url crate would remove tabs and newlines, and read `\` as `/`.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("has a space, a control character or a backslash; write one host or URL".to_owned());
    }
    let is_file =
        [".yaml", ".yml", ".json", ".toml"].iter().any(|end| text.to_ascii_lowercase().ends_with(end));
    // `-` means standard input, which only --config reads.
    if text == "-" || !text.contains("://") && (is_file || text.starts_with(['.', '/', '~'])) {
        return Err(format!("is the name of a file, not of a server; did you mean --config {text}?"));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let site = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let shown = if site.is_empty() { "mastodon.social" } else { site };
    if scheme != "https" && scheme != "http" {
        return Err(format!("has a scheme that is neither http nor https; write https://{shown}"));
    }
    if authority.contains('@') {
        return Err(
            if text.contains("://") || authority.split('@').next().is_some_and(|a| a.contains(':')) {
                format!(
                    "has a user name or a password; write {shown}, and give a token by token_file or \
                     token_env"
                )
            } else {
                format!(
                    "looks like an account; write its server, {shown}, and list the account under accounts"
                )
            },
        );
    }
    if tail.contains(['?', '#']) {
        return Err(format!("has a query or a fragment; write {scheme}://{shown}"));
    }
    if !matches!(tail, "" | "/") {
        return Err(format!("has a path; write {scheme}://{shown}"));
    }
    let bracketed = match site.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => site.to_owned(),
    };
    let wrong = |why: &str| format!("is not a host or a URL ({why}); write one such as mastodon.social");
    let mut url = Url::parse(&format!("{scheme}://{bracketed}/")).map_err(|e| wrong(&e.to_string()))?;
    match url.host().map(|host| host.to_owned()) {
        Some(Host::Domain(domain)) => {
            // A trailing dot only says that the name is complete.
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            check_domain(domain).map_err(wrong)?;
            url.set_host(Some(domain)).map_err(|e| wrong(&e.to_string()))?;
        }
        // The URL standard reads a number as an address: 9464 is 0.0.36.248.
        Some(Host::Ipv4(_)) => {
            let written = bracketed.split(':').next().unwrap_or_default();
            written.parse::<Ipv4Addr>().map_err(|_| wrong("a number is not a host"))?;
        }
        Some(Host::Ipv6(_)) => {}
        None => return Err(wrong("no host")),
    }
    if url.port() == Some(0) {
        return Err(wrong("port 0"));
    }
    Ok(url)
}

/// Parses a `Host` header: a name, with a port unless it is the default port of
/// `scheme`.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn parse_host(text: &str, scheme: &str) -> Result<String, String> {
    if text.contains("://") || text.contains('/') {
        return Err("is a URL; write the host alone, such as mastodon.social".to_owned());
    }
    let text = text.trim();
    let text = text.parse::<Ipv6Addr>().map_or_else(|_| text.to_owned(), |ip| format!("[{ip}]"));
    let url = parse_target(&format!("{scheme}://{text}"))?;
    let host = url.host_str().unwrap_or_default();
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    if domain.len() > 253 {
        return Err("longer than 253 characters");
    }
    for label in domain.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("a part between dots must have 1 to 63 characters");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err("a character that no host has");
        }
    }
    Ok(())
}

/// Parses an account: `Gargron`, `@Gargron@mastodon.social`, or its id in digits.
pub fn parse_account(text: &str) -> Result<AccountRef, String> {
    let wrong = || {
        "is not an account; write its name (Gargron), its handle (@Gargron@mastodon.social) or its id (1)"
            .to_owned()
    };
    let text = text.trim();
    let acct = text.strip_prefix('@').unwrap_or(text);
    if !acct.is_empty() && acct.len() <= 40 && acct.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(AccountRef::Id(acct.into()));
    }
    let (name, domain) = acct.split_once('@').map_or((acct, None), |(name, domain)| (name, Some(domain)));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > 255 || !name.bytes().all(plain) {
        return Err(wrong());
    }
    if let Some(domain) = domain {
        parse_host(domain, "https").map_err(|_| wrong())?;
    }
    Ok(AccountRef::Acct(acct.into()))
}

/// Parses a hashtag, without its `#`: letters of any script, digits and `_`.
pub fn parse_tag(text: &str) -> Result<Arc<str>, String> {
    let name = text.trim();
    let name = name.strip_prefix('#').unwrap_or(name);
    let plain =
        |c: char| c.is_alphanumeric() || c == '_' || c == '\u{b7}' || c == '\u{30fb}' || c == '\u{200c}';
    if name.is_empty() || name.chars().count() > 200 || !name.chars().all(plain) {
        return Err("is not a hashtag; write its letters and digits, with or without #".to_owned());
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_normalised() {
        for (text, url) in [
            ("mastodon.social", "https://mastodon.social/"),
            (" Mastodon.Social ", "https://mastodon.social/"),
            ("https://mastodon.social/", "https://mastodon.social/"),
            ("HTTPS://mastodon.social:443", "https://mastodon.social/"),
            ("mastodon.social.", "https://mastodon.social/"),
            ("example.org:8443", "https://example.org:8443/"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/"),
            ("localhost:3000", "https://localhost:3000/"),
            ("bücher.example", "https://xn--bcher-kva.example/"),
            ("::1", "https://[::1]/"),
            ("[2001:DB8::1]:8443", "https://[2001:db8::1]:8443/"),
            ("http://[::1]", "http://[::1]/"),
        ] {
            assert_eq!(parse_target(text).as_ref().map(Url::as_str), Ok(url), "{text}");
        }
    }

    #[test]
    fn wrong_targets_say_what_to_write() {
        for (text, expected) in [
            ("", "is empty"),
            ("a b", "has a space"),
            ("a\\b", "backslash"),
            ("fedimeter.yaml", "did you mean --config fedimeter.yaml?"),
            ("./x.yml", "did you mean --config ./x.yml?"),
            ("-", "did you mean --config -?"),
            ("/etc/fedimeter", "did you mean --config /etc/fedimeter?"),
            ("ftp://mastodon.social", "write https://mastodon.social"),
            ("https://mastodon.social/api/v1/instance", "has a path; write https://mastodon.social"),
            ("mastodon.social/about", "has a path; write https://mastodon.social"),
            ("https://mastodon.social/?access_token=hunter2", "has a query"),
            ("https://mastodon.social#hunter2", "has a query or a fragment"),
            ("https://me:hunter2@mastodon.social", "user name or a password; write mastodon.social"),
            ("me:hunter2@mastodon.social", "user name or a password"),
            ("https://me:hun@ter2@mastodon.social/x", "user name or a password; write mastodon.social"),
            ("@Gargron@mastodon.social", "write its server, mastodon.social"),
            ("9464", "a number is not a host"),
            ("127.1", "a number is not a host"),
            ("a..b", "a part between dots"),
            ("*.social", "no host has"),
            ("mastodon.social:http", "invalid port"),
            ("mastodon.social:99999", "invalid port"),
            ("mastodon.social:0", "port 0"),
            ("https://", "empty host"),
            ("http:mastodon.social", "invalid port"),
        ] {
            let message = parse_target(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("hunter2") && !message.contains("ter2"), "{text}: {message}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(parse_host("Mastodon.Social", "http"), Ok("mastodon.social".to_owned()));
        assert_eq!(parse_host("mastodon.social:443", "https"), Ok("mastodon.social".to_owned()));
        assert_eq!(parse_host("mastodon.social:443", "http"), Ok("mastodon.social:443".to_owned()));
        assert_eq!(parse_host("[::1]:80", "https"), Ok("[::1]:80".to_owned()));
        assert!(parse_host("https://mastodon.social", "https").is_err());
    }

    #[test]
    fn accounts() {
        for (text, expected) in [
            ("Gargron", AccountRef::Acct("Gargron".into())),
            ("@Gargron@mastodon.social", AccountRef::Acct("Gargron@mastodon.social".into())),
            ("1", AccountRef::Id("1".into())),
        ] {
            assert_eq!(parse_account(text), Ok(expected));
        }
        for text in ["", "@", "a b", "https://mastodon.social/@Gargron", "a@", "a@b/c", "a@b@c"] {
            assert!(parse_account(text).is_err(), "{text}");
        }
    }
}
