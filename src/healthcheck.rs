//! Checks whether the bridge on this machine is healthy, with its own program, because
//! a container contains no other client.

mod direct;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use url::Url;

use crate::config::otel::OtelEnv;
use crate::config::values::show_duration;
use crate::config::{Address, Http};
use crate::fetch::{Client, ClientError, Failure, Request, Take};
use crate::outcome::ErrorType;
use crate::target::Target;

use direct::{HEALTHY, MAX_ANSWER, PATH};

pub use direct::{Access, Peer};

/// Why there is no bridge to ask.
#[derive(Debug, thiserror::Error)]
pub enum NothingToAsk {
    /// `--listen none`.
    #[error(
        "nothing to ask: /metrics is off (--listen none), and the health page with it; let the bridge \
         listen for this check alone, with FEDIMETER_LISTEN=127.0.0.1:9464, or turn the check off (docker \
         run --no-healthcheck)"
    )]
    Off,
    /// `OTEL_METRICS_EXPORTER`.
    #[error(
        "nothing to ask: {0}, so nothing is served; add it, or turn the check off (docker run \
         --no-healthcheck)"
    )]
    NotServed(String),
    /// `OTEL_SDK_DISABLED`.
    #[error(
        "nothing to ask: {0} is true, so nothing is served; remove it, or turn the check off (docker run \
         --no-healthcheck)"
    )]
    Disabled(String),
    /// Port 0.
    #[error(
        "nothing to ask: port 0 of {0} is another port at each start; give the bridge a port, or name it in \
         --url"
    )]
    AnyPort(SocketAddr),
}

/// Why the bridge is not known to be healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// There is no answer, or not that of a healthy bridge.
    #[error("{place}: {reason}: {advice}")]
    Answer {
        /// What was asked.
        place: String,
        /// What happened.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The request could not be sent.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A place where a bridge listens.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// URLs for this machine, of which one has to answer.
    Urls(Vec<Url>),
    /// Addresses without a URL, of which one has to answer.
    Peers(Vec<Peer>, Access),
}

impl Place {
    /// Returns the health page of the bridge whose `/metrics` is below this URL.
    #[must_use]
    pub fn below(url: &Url) -> Place {
        let mut page = url.clone();
        page.set_path(&format!("{}{PATH}", url.path().trim_end_matches('/')));
        Place::Urls(vec![page])
    }

    /// Returns the health page of the bridge at this address. A bridge that listens on
    /// all addresses is asked at the loopback address.
    fn at(address: &Address, access: &Access) -> Place {
        let address = match address {
            Address::Ip(address) => address,
            Address::Unix(path) => return Place::Peers(vec![Peer::Socket(path.clone())], access.clone()),
        };
        let ips: &[IpAddr] = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
            // This address accepts IPv4, too, and a container may have an IPv6 stack
            // without a loopback address.
            IpAddr::V6(ip) if ip.is_unspecified() => {
                &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]
            }
            ip => &[ip],
        };
        if *access != Access::default() {
            let peer = |ip: &IpAddr| Peer::Address(SocketAddr::new(*ip, address.port()));
            return Place::Peers(ips.iter().map(peer).collect(), access.clone());
        }
        let urls = ips.iter().map(|ip| format!("http://{}{PATH}", SocketAddr::new(*ip, address.port())));
        Place::Urls(urls.filter_map(|url| Url::parse(&url).ok()).collect())
    }
}

/// Returns where to ask a bridge with this configuration.
///
/// # Errors
///
/// When it serves nothing, or its address cannot be known.
pub fn places(listen: &[Address], access: &Access, otel: &OtelEnv) -> Result<Vec<Place>, NothingToAsk> {
    if otel.disabled {
        return Err(NothingToAsk::Disabled(otel.disabled_by()));
    }
    if listen.is_empty() {
        return Err(NothingToAsk::Off);
    }
    if !otel.exporters.prometheus {
        return Err(NothingToAsk::NotServed(otel.no_prometheus()));
    }
    for address in listen {
        if let Address::Ip(any) = address
            && any.port() == 0
        {
            return Err(NothingToAsk::AnyPort(*any));
        }
    }
    Ok(listen.iter().map(|address| Place::at(address, access)).collect())
}

/// Asks every place at once, without a proxy.
///
/// # Errors
///
/// The first place that does not answer within `timeout` that it is healthy.
pub async fn ask(places: &[Place], timeout: Duration) -> Result<(), Unhealthy> {
    let client = Client::without_proxy(Http {
        timeout,
        connect_timeout: timeout,
        kept_per_host: 0,
        ..Http::default()
    })?;
    let asked = join_all(places.iter().map(|place| ask_place(&client, place))).await;
    asked.into_iter().collect()
}

async fn ask_place(client: &Client, place: &Place) -> Result<(), Unhealthy> {
    let urls = match place {
        Place::Urls(urls) => urls,
        Place::Peers(peers, access) => return ask_peers(peers, access, client.settings().timeout).await,
    };
    let mut first = Ok(());
    for url in urls {
        let Err(failure) = ask_url(client, url).await else { return Ok(()) };
        // Something answers there, healthy or not.
        let there = failure.error != ErrorType::Connect;
        if first.is_ok() || there {
            let reason = match failure.error {
                ErrorType::Timeout => {
                    format!("no answer within {}", show_duration(client.settings().timeout))
                }
                _ => failure.reason,
            };
            first = Err(Unhealthy::Answer { place: url.to_string(), reason, advice: advice(failure.error) });
        }
        if there {
            break;
        }
    }
    first
}

async fn ask_peers(peers: &[Peer], access: &Access, within: Duration) -> Result<(), Unhealthy> {
    let mut first = Ok(());
    for peer in peers {
        let Err((error, reason)) = direct::ask(peer, access, within).await else { return Ok(()) };
        if first.is_ok() || error != ErrorType::Connect {
            let address = match peer {
                Peer::Address(address) => Address::from(*address),
                Peer::Socket(path) => Address::Unix(path.clone()),
            };
            let place = address.page(access.certificate.is_some(), PATH);
            first = Err(Unhealthy::Answer { place, reason, advice: advice(error) });
        }
    }
    first
}

async fn ask_url(client: &Client, url: &Url) -> Result<(), Failure> {
    let target = Target::new(url.clone(), None, None, &BTreeMap::new());
    let take = Take::UpTo(MAX_ANSWER);
    let request = Request { target: &target, url: url.clone(), etag: None, token: None, post: None, take };
    // The time is used for rate limits, which the bridge does not have.
    let reply = client.get(request, 0.0).await.result?;
    if reply.body.starts_with(HEALTHY) {
        return Ok(());
    }
    Err(Failure::new(ErrorType::Decode, "the answer does not come from a bridge"))
}

fn advice(error: ErrorType) -> &'static str {
    match error {
        ErrorType::Timeout => {
            "the bridge hangs: check its log and restart it, or allow more time with --timeout"
        }
        ErrorType::Unauthorized => {
            "the bridge requires a password: set web_token_file, whose first token this check sends, or \
             web_open_health"
        }
        ErrorType::Connect | ErrorType::Dns | ErrorType::Tls => {
            "check that the bridge is running, with the same --listen, --config and variables as this check"
        }
        _ => "another program answers there, or a proxy: correct --listen, or name the bridge in --url",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(address: &str) -> Vec<String> {
        let address: SocketAddr = address.parse().unwrap();
        let Place::Urls(urls) = Place::at(&address.into(), &Access::default()) else {
            panic!("no URL of {address}")
        };
        urls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_addresses_are_asked_on_the_loopback_one() {
        assert_eq!(urls("0.0.0.0:9464"), ["http://127.0.0.1:9464/-/healthy"]);
        assert_eq!(urls("[::]:9464"), ["http://[::1]:9464/-/healthy", "http://127.0.0.1:9464/-/healthy"]);
        assert_eq!(urls("192.0.2.1:80"), ["http://192.0.2.1/-/healthy"]);
        assert_eq!(urls("[2001:db8::1]:1"), ["http://[2001:db8::1]:1/-/healthy"]);
    }

    #[test]
    fn a_url_may_have_a_path() {
        for (url, page) in [
            ("http://a.example", "http://a.example/-/healthy"),
            ("http://a.example/", "http://a.example/-/healthy"),
            ("https://a.example/bridge/", "https://a.example/bridge/-/healthy"),
        ] {
            assert_eq!(Place::below(&url.parse().unwrap()), Place::Urls(vec![page.parse().unwrap()]));
        }
    }
}
