//! Access control: TLS, passwords and tokens, a limit on requests, and additional
//! response headers, from the current web configuration file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use ring::hmac;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::{ConfigErrors, Web, WebSettings, read_token_file};
use crate::log_once::LogOnce;
use crate::stamp::{LOOK_INTERVAL, Stamp};
use crate::target::Token;

use super::text;

/// The maximum number of password checks at once. Each uses a processor for a tenth of
/// a second, and attackers must not take all processors from the bridge.
const MAX_CHECKS: usize = 1;
/// The maximum number of checks that wait for their turn.
const MAX_WAITING: usize = 64;
/// The maximum number of correct passwords that are remembered.
const MAX_KNOWN: usize = 256;
/// The maximum length of a password that is checked. bcrypt reads only 72 bytes.
const MAX_PASSWORD: usize = 1024;

/// Controls access for every listener.
pub struct Door {
    settings: WebSettings,
    current: Mutex<Arc<Current>>,
    known: Mutex<VecDeque<hmac::Tag>>,
    secret: hmac::Key,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
    limiter: Mutex<Option<Bucket>>,
    failing: LogOnce,
}

/// The rules that currently apply.
#[derive(Debug)]
struct Current {
    web: Option<Web>,
    tokens: Vec<Token>,
}

/// The number of requests that may still be made.
#[derive(Debug)]
struct Bucket {
    left: f64,
    filled: Instant,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request has no correct password or token.
    Unauthorized {
        /// Whether passwords are accepted.
        basic: bool,
        /// Whether tokens are accepted.
        bearer: bool,
    },
    /// There are too many requests.
    RateLimited(Duration),
    /// Too many passwords are waiting to be checked.
    Busy,
}

impl Door {
    /// Reads the web configuration. Blocks: do not call it on an async thread.
    ///
    /// # Errors
    ///
    /// All errors in the file and in the tokens.
    pub fn new(settings: WebSettings) -> Result<Door, ConfigErrors> {
        let current = Current::read(&settings)?;
        let random = ring::rand::SystemRandom::new();
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &random);
        let secret = secret.map_err(|_| ConfigErrors::other("the system gives no random numbers"))?;
        Ok(Door {
            settings,
            current: Mutex::new(Arc::new(current)),
            known: Mutex::default(),
            secret,
            checks: Arc::new(Semaphore::new(MAX_CHECKS)),
            waiting: Semaphore::new(MAX_WAITING),
            limiter: Mutex::default(),
            failing: LogOnce::default(),
        })
    }

    fn current(&self) -> Arc<Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The TLS configuration for a new connection, if TLS is on.
    #[must_use]
    pub fn tls(&self) -> Option<tokio_rustls::TlsAcceptor> {
        self.current().web.as_ref()?.tls.clone().map(Into::into)
    }

    /// Whether clients may use HTTP/2.
    #[must_use]
    pub fn http2(&self) -> bool {
        self.current().web.as_ref().is_none_or(|web| web.http2)
    }

    /// Adds the headers of every response.
    pub fn mark(&self, headers: &mut HeaderMap) {
        for (name, value) in self.current().web.iter().flat_map(|web| &web.headers) {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// Checks a request for this path, with these headers.
    ///
    /// # Errors
    ///
    /// The reason for refusing the request.
    pub async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let current = self.current();
        if let Some((interval, burst)) = current.web.as_ref().and_then(|web| web.rate_limit) {
            self.spend(interval, burst)?;
        }
        if self.settings.open_health && path == "/-/healthy" {
            return Ok(());
        }
        let users = current.web.as_ref().map(|web| &web.users).filter(|users| !users.is_empty());
        let bearer = !current.tokens.is_empty();
        if users.is_none() && !bearer {
            return Ok(());
        }
        let refused = Err(Refusal::Unauthorized { basic: users.is_some(), bearer });
        let Some(shown) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return refused;
        };
        let Some((scheme, shown)) = shown.split_once(' ') else { return refused };
        if scheme.eq_ignore_ascii_case("bearer") {
            // All are compared, so that the time does not depend on which one matches.
            let is_right =
                |token: &Token| bool::from(token.secret().as_bytes().ct_eq(shown.trim().as_bytes()));
            return if current.tokens.iter().filter(|token| is_right(token)).count() > 0 {
                Ok(())
            } else {
                refused
            };
        }
        let Some(users) = users.filter(|_| scheme.eq_ignore_ascii_case("basic")) else { return refused };
        let decoded =
            BASE64_STANDARD.decode(shown.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((user, password)) = decoded.as_deref().and_then(|both| both.split_once(':')) else {
            return refused;
        };
        if password.len() > MAX_PASSWORD {
            return refused;
        }
        let (hash, is_known) = match users.get(user) {
            Some(hash) => (hash.as_str(), true),
            // An unknown user takes as long as a known one, because the time would
            // otherwise reveal names.
            None => (dearest(users.values()), false),
        };
        if self.is_right(user, hash, password).await? && is_known { Ok(()) } else { refused }
    }

    /// Whether the password matches the user's hash.
    async fn is_right(&self, user: &str, hash: &str, password: &str) -> Result<bool, Refusal> {
        let mut parts = hmac::Context::with_key(&self.secret);
        for part in [user, hash, password] {
            // The length keeps two parts from being read as other parts.
            parts.update(&(part.len() as u64).to_be_bytes());
            parts.update(part.as_bytes());
        }
        let tag = parts.sign();
        let is_known = |known: &hmac::Tag| bool::from(known.as_ref().ct_eq(tag.as_ref()));
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_known) {
            return Ok(true);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Refusal::Busy) };
        // The semaphore is never closed.
        let Ok(turn) = self.checks.clone().acquire_owned().await else { return Err(Refusal::Busy) };
        let (hash, password) = (hash.to_owned(), password.to_owned());
        let check = move || {
            let _turn = turn;
            bcrypt::verify(password, &hash).unwrap_or(false)
        };
        let is_right = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        if is_right {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() == MAX_KNOWN {
                known.pop_front();
            }
            known.push_back(tag);
        }
        Ok(is_right)
    }

    fn spend(&self, interval: Duration, burst: u32) -> Result<(), Refusal> {
        let now = Instant::now();
        let mut bucket = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let Bucket { left, filled } = bucket.get_or_insert(Bucket { left: burst.into(), filled: now });
        *left = (*left + (now - *filled).as_secs_f64() / interval.as_secs_f64()).min(burst.into());
        *filled = now;
        if *left < 1.0 {
            return Err(Refusal::RateLimited(interval.mul_f64(1.0 - *left)));
        }
        *left -= 1.0;
        Ok(())
    }

    /// Reads the file and the tokens again. Blocks: do not call it on an async thread.
    ///
    /// # Errors
    ///
    /// All errors. The previous rules then stay in effect.
    pub fn reload(&self) -> Result<(), ConfigErrors> {
        let current = Current::read(&self.settings)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        Ok(())
    }

    /// Watches the file and the files that it names, for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        let mut seen = self.clone().look().await;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let now = self.clone().look().await;
            // A broken file is read again, because its parts may be replaced one by
            // one.
            if now == seen {
                continue;
            }
            seen = now;
            let door = self.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || door.reload()).await else { return };
            self.tell(&read);
        }
    }

    fn tell(&self, read: &Result<(), ConfigErrors>) {
        match read {
            Ok(()) => {
                self.failing.ends();
                tracing::info!("the changed web configuration is now in effect");
            }
            Err(errors) => {
                self.failing.begins();
                for error in errors.iter() {
                    tracing::error!("{error}; the previous web configuration stays in effect");
                }
            }
        }
    }

    async fn look(self: Arc<Self>) -> Vec<Option<Stamp>> {
        let looking = tokio::task::spawn_blocking(move || {
            let current = self.current();
            let files = current.web.iter().flat_map(|web| &web.files).chain(&self.settings.file);
            files.chain(&self.settings.token_files).map(|file| Stamp::at(file)).collect()
        });
        looking.await.unwrap_or_default()
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Current {
    fn read(settings: &WebSettings) -> Result<Current, ConfigErrors> {
        let web = settings.file.as_deref().map(Web::read).transpose()?;
        let tokens = settings.token_files.iter().map(|file| read_token_file(file));
        let tokens: Result<Vec<_>, String> = tokens.collect();
        let tokens = tokens.map_err(|why| ConfigErrors::other(format!("web_token_file: {why}")))?;
        Ok(Current { web, tokens })
    }
}

/// Returns the hash that takes longest to check.
fn dearest<'a>(hashes: impl Iterator<Item = &'a String>) -> &'a str {
    let cost = |hash: &&String| hash.parse::<bcrypt::HashParts>().map_or(0, |parts| parts.get_cost());
    hashes.max_by_key(cost).map_or("", String::as_str)
}

impl Refusal {
    /// Returns the response for the client.
    #[must_use]
    pub fn response(&self) -> Response<axum::body::Body> {
        match self {
            Refusal::Unauthorized { basic, bearer } => {
                let mut response = text(StatusCode::UNAUTHORIZED, "a password or a token is required\n");
                let schemes =
                    [(*basic, "Basic realm=\"fedimeter\""), (*bearer, "Bearer realm=\"fedimeter\"")];
                for (_, scheme) in schemes.into_iter().filter(|(is_on, _)| *is_on) {
                    response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
                }
                response
            }
            Refusal::RateLimited(wait) => later(StatusCode::TOO_MANY_REQUESTS, "too many requests\n", *wait),
            Refusal::Busy => {
                let says = "too many passwords wait to be checked\n";
                later(StatusCode::SERVICE_UNAVAILABLE, says, Duration::from_secs(1))
            }
        }
    }
}

fn later(status: StatusCode, says: &str, wait: Duration) -> Response<axum::body::Body> {
    let mut response = text(status, says);
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
