//! The kinds of faults, and how a fault is written on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// The largest body of [`Fault::TooLarge`], in bytes: 64 MiB.
pub const MAX_BODY: u64 = 64 << 20;

/// A way in which a response fails.
///
/// Each has a short form, which [`FromStr`] parses. Durations are written as `250ms`,
/// `30s`, `5m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `status:503`: this status with a JSON error, as Mastodon words it.
    Status(u16),
    /// `status:404:empty`: this status and no body, as for a disabled endpoint.
    StatusEmpty(u16),
    /// `status:502:html`: this status with a page, as a reverse proxy sends it.
    StatusHtml(u16),
    /// `status:404:plain`: this status and a line of text, as from a gateway without a
    /// server for a name (Traefik: `404 page not found`).
    StatusPlain(u16),
    /// `retry-after:30s`: 503 with `Retry-After`.
    RetryAfter(Duration),
    /// `delay:2s`: the true response after this time.
    Delay(Duration),
    /// `hang`: the request is read and never answered.
    Hang,
    /// `stall`: the headers and half of the body; the connection stays open.
    Stall,
    /// `truncated`: the connection closes when half of the body is sent.
    Truncated,
    /// `reset`: the connection closes without an answer.
    Reset,
    /// `wrong-type`: numbers and texts are replaced by objects, arrays, words or
    /// numbers; the top level stays what it is.
    WrongType,
    /// `odd-numbers`: numbers are negative, fractional, beyond 64 bits or in words.
    OddNumbers,
    /// `wrong-top`: an array where an object is expected, and the reverse.
    WrongTop,
    /// `not-json`: 200 with JSON's content type and a body that is not JSON.
    NotJson,
    /// `html-challenge`: 200 with a page that checks for a browser.
    HtmlChallenge,
    /// `web-app`: 200 with the page of a web application instead of a 404, otherwise
    /// the true response.
    WebApp,
    /// `cached` or `cached:HEADER=VALUE`: always the first response to each path, as
    /// from a cache, with the rate limit headers of the first request, and a header
    /// that says so. The default is `X-Cached: HIT`.
    Cached {
        /// The header's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// `error-object`: 200 with `{"error": …}`.
    ErrorObject,
    /// `redirect:302:https://example.org/`: a redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The value of `Location`, sent unchanged.
        to: String,
    },
    /// `rate-limited:90s`: 429, with a limit that resets after this time.
    RateLimited(Duration),
    /// `too-large` or `too-large:BYTES`: valid JSON of this size, which is made while
    /// it is sent; at most [`MAX_BODY`].
    TooLarge(u64),
    /// `header:cache-control=max-age=60`: the true response with this header
    /// replaced; an empty value removes it.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Another fault during a part of each period, by the simulator's clock.
    Intermittent {
        /// The period, at least a second. Periods are counted from 1970.
        every: Duration,
        /// How long the fault lasts at the beginning of each period.
        lasts: Duration,
        /// The fault in that time.
        fault: Box<Fault>,
    },
}

impl Fault {
    /// The fault that applies at `now`, a Unix time in seconds, if any.
    #[must_use]
    pub fn at(&self, now: i64) -> Option<&Fault> {
        match self {
            Fault::Intermittent { every, lasts, fault } => {
                let period = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
                let passed = u64::try_from(now.rem_euclid(period)).unwrap_or_default();
                if passed < lasts.as_secs() { fault.at(now) } else { None }
            }
            fault => Some(fault),
        }
    }
}

/// A fault and where it occurs, as in `fedimeter simulate --fault`:
/// `i=3,path=/api/v1/instance,kind=status:503,every=5m,for=20s`.
///
/// `i` is the number of an instance, or `*` for all (the default). `path` is an exact
/// path, a prefix that ends in `*`, or `*` for all (the default). With `every` and
/// `for` the fault comes and goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// The instance's number from 0; all instances when `None`.
    pub instance: Option<usize>,
    /// An exact path, a prefix that ends in `*`, or `*`.
    pub path: String,
    /// The fault there.
    pub fault: Fault,
}

/// Why a fault could not be parsed: a sentence that quotes the text and says what is
/// expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseFaultError(String);

fn error(text: impl fmt::Display) -> ParseFaultError {
    ParseFaultError(text.to_string())
}

const KINDS: &str = "status:CODE, status:CODE:empty, status:CODE:html, status:CODE:plain, retry-after:TIME, \
                     delay:TIME, hang, stall, truncated, reset, wrong-type, odd-numbers, wrong-top, \
                     not-json, html-challenge, web-app, cached[:HEADER=VALUE], error-object, \
                     redirect:STATUS:URL, rate-limited:TIME, too-large[:BYTES], header:NAME=VALUE";

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Fault, ParseFaultError> {
        let (kind, value) = match text.split_once(':') {
            Some((kind, value)) => (kind, Some(value)),
            None => (text, None),
        };
        let needed = |what: &str| {
            value
                .filter(|v| !v.is_empty())
                .ok_or_else(|| error(format!("`{kind}` needs {what} after a colon")))
        };
        let fault = match kind {
            "status" => return parse_status(needed("a status code, like `status:503`,")?),
            "redirect" => return parse_redirect(needed("a status and a URL")?),
            "header" => {
                let (name, value) = parse_header(needed("a header, like `header:age=30`,")?)?;
                return Ok(Fault::Header { name, value });
            }
            "cached" => {
                let (name, value) = parse_header(value.unwrap_or("x-cached=HIT"))?;
                return Ok(Fault::Cached { name, value });
            }
            "retry-after" => return Ok(Fault::RetryAfter(parse_time(needed("a time, like `30s`,")?)?)),
            "delay" => return Ok(Fault::Delay(parse_time(needed("a time, like `2s`,")?)?)),
            "rate-limited" => return Ok(Fault::RateLimited(parse_time(needed("a time, like `90s`,")?)?)),
            "too-large" => {
                let Some(value) = value else { return Ok(Fault::TooLarge(MAX_BODY)) };
                let bytes = value.parse().ok().filter(|bytes| (1..=MAX_BODY).contains(bytes));
                let wrong = || error(format!("`{value}` is no size: give bytes from 1 to {MAX_BODY}"));
                return Ok(Fault::TooLarge(bytes.ok_or_else(wrong)?));
            }
            "hang" => Fault::Hang,
            "stall" => Fault::Stall,
            "truncated" => Fault::Truncated,
            "reset" => Fault::Reset,
            "wrong-type" => Fault::WrongType,
            "odd-numbers" => Fault::OddNumbers,
            "wrong-top" => Fault::WrongTop,
            "not-json" => Fault::NotJson,
            "html-challenge" => Fault::HtmlChallenge,
            "web-app" => Fault::WebApp,
            "error-object" => Fault::ErrorObject,
            _ => return Err(error(format!("`{kind}` is no kind of fault; there are {KINDS}"))),
        };
        match value {
            None => Ok(fault),
            Some(value) => Err(error(format!("`{kind}` takes nothing after it, not `:{value}`"))),
        }
    }
}

fn parse_status(text: &str) -> Result<Fault, ParseFaultError> {
    let (code, body) = text.split_once(':').unwrap_or((text, "json"));
    // 1xx is not an answer, and 204 and 304 cannot have a body.
    let code = code.parse().ok().filter(|code| (200..=599).contains(code));
    let code = code.ok_or_else(|| error(format!("`{text}` does not begin with a status from 200 to 599")))?;
    match body {
        "json" => Ok(Fault::Status(code)),
        "empty" => Ok(Fault::StatusEmpty(code)),
        "html" => Ok(Fault::StatusHtml(code)),
        "plain" => Ok(Fault::StatusPlain(code)),
        other => Err(error(format!("a body is `json`, `empty`, `html` or `plain`, not `{other}`"))),
    }
}

fn parse_redirect(text: &str) -> Result<Fault, ParseFaultError> {
    let example = "give it like `redirect:302:https://example.org/`";
    let (status, to) =
        text.split_once(':').ok_or_else(|| error(format!("`{text}` lacks a status or a URL; {example}")))?;
    let status = status.parse().ok().filter(|s| matches!(s, 301 | 302 | 303 | 307 | 308));
    let status = status
        .ok_or_else(|| error(format!("a redirect's status is 301, 302, 303, 307 or 308; {example}")))?;
    if to.is_empty() || http::HeaderValue::from_str(to).is_err() {
        return Err(error(format!("`{to}` can't be sent as a URL; {example}")));
    }
    Ok(Fault::Redirect { status, to: to.to_owned() })
}

fn parse_header(text: &str) -> Result<(String, String), ParseFaultError> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        error(format!("`{text}` is no header; give it like `header:cache-control=max-age=60`"))
    })?;
    if http::HeaderName::from_str(name).is_err() || http::HeaderValue::from_str(value).is_err() {
        return Err(error(format!("`{name}: {value}` can't be sent as a header")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_time(text: &str) -> Result<Duration, ParseFaultError> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| error(format!("`{text}` is no time; write it like `250ms`, `30s` or `5m`")))
}

impl FromStr for FaultRule {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<FaultRule, ParseFaultError> {
        let (mut instance, mut path, mut kind, mut every, mut lasts) =
            (None, "*".to_owned(), None, None, None);
        for (key, value) in parts(text)? {
            match key {
                "i" if value == "*" => instance = None,
                "i" => {
                    let wrong = || error(format!("`i={value}` is no instance: give a number from 0, or `*`"));
                    instance = Some(value.parse().map_err(|_| wrong())?);
                }
                "path" if value == "*" || value.starts_with('/') => path = value,
                "path" => {
                    return Err(error(format!("`path={value}` begins with no slash; `*` means all paths")));
                }
                "kind" => kind = Some(value.parse()?),
                "every" => every = Some(parse_time(&value)?),
                _ => lasts = Some(parse_time(&value)?),
            }
        }
        let fault: Fault = kind.ok_or_else(|| error(format!("there is no `kind=`; it is one of {KINDS}")))?;
        let fault = match (every, lasts) {
            (None, None) => fault,
            (Some(every), Some(lasts)) if every.as_secs() > 0 && lasts <= every => {
                Fault::Intermittent { every, lasts, fault: Box::new(fault) }
            }
            (Some(_), Some(_)) => {
                return Err(error("`for` is longer than `every`, or `every` is under a second"));
            }
            _ => return Err(error("`every` and `for` go together: `every=5m,for=20s`")),
        };
        Ok(FaultRule { instance, path, fault })
    }
}

/// Splits a rule into its `key=value` parts. A comma belongs to the value if no key
/// follows it: `kind=header:cache-control=max-age=60, public`.
fn parts(text: &str) -> Result<Vec<(&str, String)>, ParseFaultError> {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for piece in text.split(',') {
        let key =
            piece.split_once('=').filter(|(key, _)| ["i", "path", "kind", "every", "for"].contains(key));
        let twice = |name: &str| parts.iter().any(|(key, _)| *key == name);
        if let Some((name, _)) = key.filter(|(name, _)| twice(name)) {
            return Err(error(format!("`{name}=` stands twice")));
        }
        match (key, parts.last_mut()) {
            (Some((name, value)), _) => parts.push((name, value.to_owned())),
            (None, Some(("kind", value))) => {
                value.push(',');
                value.push_str(piece);
            }
            _ => {
                return Err(error(format!(
                    "`{piece}` is none of `i=`, `path=`, `kind=`, `every=`, `for=`; \
                     a rule is like `i=3,path=/api/v1/instance,kind=status:503,every=5m,for=20s`"
                )));
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind() {
        let second = Duration::from_secs(1);
        for (text, fault) in [
            ("status:503", Fault::Status(503)),
            ("status:404:empty", Fault::StatusEmpty(404)),
            ("status:502:html", Fault::StatusHtml(502)),
            ("status:404:plain", Fault::StatusPlain(404)),
            ("retry-after:1s", Fault::RetryAfter(second)),
            ("delay:250ms", Fault::Delay(second / 4)),
            ("hang", Fault::Hang),
            ("stall", Fault::Stall),
            ("truncated", Fault::Truncated),
            ("reset", Fault::Reset),
            ("wrong-type", Fault::WrongType),
            ("odd-numbers", Fault::OddNumbers),
            ("wrong-top", Fault::WrongTop),
            ("not-json", Fault::NotJson),
            ("html-challenge", Fault::HtmlChallenge),
            ("web-app", Fault::WebApp),
            ("cached", Fault::Cached { name: "x-cached".into(), value: "HIT".into() }),
            ("cached:age=30", Fault::Cached { name: "age".into(), value: "30".into() }),
            ("error-object", Fault::ErrorObject),
            ("redirect:301:http://x/y", Fault::Redirect { status: 301, to: "http://x/y".into() }),
            ("rate-limited:1m", Fault::RateLimited(60 * second)),
            ("too-large", Fault::TooLarge(MAX_BODY)),
            ("too-large:2000000", Fault::TooLarge(2_000_000)),
            ("header:age=30", Fault::Header { name: "age".into(), value: "30".into() }),
        ] {
            assert_eq!(text.parse(), Ok(fault), "{text}");
        }
    }

    #[test]
    fn reads_rules() {
        let rule: FaultRule = "i=3,path=/api/v1/instance,kind=status:503,every=5m,for=20s".parse().unwrap();
        let (every, lasts) = (Duration::from_secs(300), Duration::from_secs(20));
        let fault = Fault::Intermittent { every, lasts, fault: Box::new(Fault::Status(503)) };
        assert_eq!(rule, FaultRule { instance: Some(3), path: "/api/v1/instance".into(), fault });
        assert_eq!(rule.fault.at(1_200_000_019), Some(&Fault::Status(503)));
        assert_eq!(rule.fault.at(1_200_000_020), None);

        let rule: FaultRule = "kind=header:cache-control=max-age=60, public,i=*".parse().unwrap();
        let fault = Fault::Header { name: "cache-control".into(), value: "max-age=60, public".into() };
        assert_eq!(rule, FaultRule { instance: None, path: "*".into(), fault });
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, needle) in [
            ("", "is none of `i=`"),
            ("i=3", "there is no `kind=`; it is one of status:CODE"),
            ("i=x,kind=hang", "`i=x` is no instance"),
            ("path=api,kind=hang", "begins with no slash"),
            ("kind=hang,kind=reset", "`kind=` stands twice"),
            ("kind=hang:2s", "takes nothing after it"),
            ("kind=explode", "`explode` is no kind of fault; there are status:CODE"),
            ("kind=status", "`status` needs a status code"),
            ("kind=status:999", "from 200 to 599"),
            ("kind=status:500:xml", "`json`, `empty`, `html` or `plain`, not `xml`"),
            ("kind=delay:soon", "`soon` is no time"),
            ("kind=delay:-5s", "`-5s` is no time"),
            ("kind=too-large:99999999999", "is no size"),
            ("kind=redirect:200:/", "301, 302, 303, 307 or 308"),
            ("kind=header:a b=c", "can't be sent as a header"),
            ("kind=hang,every=5m", "go together"),
            ("kind=hang,every=5m,for=6m", "`for` is longer than `every`"),
        ] {
            let message = text.parse::<FaultRule>().expect_err(text).to_string();
            assert!(message.contains(needle), "{text}: {message}");
        }
    }
}
