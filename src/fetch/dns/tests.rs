//! Tests with a name server that answers each name in its own way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use hickory_resolver::Hosts;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::{Message, Query};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{RData, Record};
use tokio::net::UdpSocket;

use super::*;

const V4: &str = "192.0.2.7";
const V6: &str = "2001:db8::7";
/// Longer than any answer on a busy machine.
const AMPLE: Duration = Duration::from_secs(20);

/// The answer to a query: addresses, a code, or nothing.
enum Says {
    Addresses(Vec<&'static str>),
    Code(ResponseCode),
    Nothing,
}

fn says(query: &Query) -> Says {
    let name = query.name().to_lowercase().to_string();
    let is_v6 = query.query_type() == RecordType::AAAA;
    match name.as_str() {
        "both.test." => Says::Addresses(vec![if is_v6 { V6 } else { V4 }]),
        "v4.test." | "web.corp.test." => Says::Addresses(if is_v6 { vec![] } else { vec![V4] }),
        "v6.test." => Says::Addresses(if is_v6 { vec![V6] } else { vec![] }),
        "lost.test." if is_v6 => Says::Nothing,
        "lost.test." => Says::Addresses(vec![V4]),
        "half.test." if is_v6 => Says::Addresses(vec![]),
        "half.test." | "failing.test." => Says::Code(ResponseCode::ServFail),
        "refused.test." => Says::Code(ResponseCode::Refused),
        "empty.test." => Says::Addresses(vec![]),
        name if name.ends_with("hang.test.") => Says::Nothing,
        _ => Says::Code(ResponseCode::NXDomain),
    }
}

struct NameServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    async fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        tokio::spawn(async move {
            let mut packet = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                count.fetch_add(1, Ordering::Relaxed);
                let asked = Message::from_vec(&packet[..length]).unwrap();
                if let Some(answer) = answer(asked) {
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        NameServer { address, asked }
    }

    /// Creates a resolver that uses this hosts file and then the server.
    fn dns(&self, hosts: &str, timeout: Duration) -> Dns {
        let mut udp = ConnectionConfig::udp();
        udp.port = self.address.port();
        let server = NameServerConfig::new(self.address.ip(), true, vec![udp]);
        let mut config = ResolverConfig::from_name_servers(vec![server]);
        config.add_search(Name::from_ascii("corp.test.").unwrap());
        let mut in_file = Hosts::default();
        in_file.read_hosts_conf(hosts.as_bytes()).unwrap();
        let system = System::new(config, ResolverOpts::default(), in_file, timeout).unwrap();
        Dns::of(Source::fixed(system), timeout, 512)
    }
}

fn answer(asked: Message) -> Option<Message> {
    let query = asked.queries[0].clone();
    let mut answer = asked.into_response();
    match says(&query) {
        Says::Nothing => return None,
        Says::Code(code) => answer.metadata.response_code = code,
        Says::Addresses(addresses) => {
            for address in addresses {
                let data = match address.parse().unwrap() {
                    IpAddr::V4(v4) => RData::A(A(v4)),
                    IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
                };
                answer.answers.push(Record::from_rdata(query.name().clone(), 60, data));
            }
        }
    }
    Some(answer)
}

impl Dns {
    /// Asks this name server alone.
    pub(in crate::fetch) fn asking(server: SocketAddr) -> Dns {
        NameServer { address: server, asked: Arc::default() }.dns("", AMPLE)
    }
}

/// Returns the result of a look-up, in words.
async fn found(dns: &Dns, name: &str) -> String {
    match dns.lookup(name).await {
        Ok(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(ResolveError::NotFound { .. }) => "not found".to_owned(),
        Err(ResolveError::Unanswered { .. }) => "for now".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn names_have_the_addresses_of_the_hosts_file_and_of_dns() {
    let server = NameServer::start().await;
    let hosts = "192.0.2.1 own.test gone.test\n::7 own6.test\n192.0.2.2 hang.test both.test\n";
    let dns = server.dns(hosts, AMPLE);
    for (name, expected) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("localhost", "127.0.0.1 ::1"),
        ("Art.LocalHost.", "127.0.0.1 ::1"),
        ("own.test", "192.0.2.1"),
        ("OWN.test.", "192.0.2.1"),
        ("own6.test", "::7"),
        ("gone.test", "192.0.2.1"),
        ("hang.test", "192.0.2.2"),
        ("both.test", "192.0.2.2"),
    ] {
        assert_eq!(found(&dns, name).await, expected, "{name}");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 0, "the hosts file is enough");
    let dns = server.dns("", AMPLE);
    for (name, expected) in [
        ("both.test", "2001:db8::7 192.0.2.7"),
        ("BOTH.test.", "2001:db8::7 192.0.2.7"),
        ("v4.test", "192.0.2.7"),
        ("v6.test", "2001:db8::7"),
        // Queries for the other family are not answered.
        ("lost.test", "192.0.2.7"),
        // Below the search domain.
        ("web", "192.0.2.7"),
        ("web.corp.test", "192.0.2.7"),
        ("web.", "not found"),
        ("gone.test", "not found"),
        ("empty.test", "not found"),
        ("failing.test", "for now"),
        ("refused.test", "for now"),
        ("half.test", "for now"),
        ("-..-", "not found"),
    ] {
        assert_eq!(found(&dns, name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn names_whose_name_server_hangs_hold_up_no_other() {
    let server = NameServer::start().await;
    let timeout = Duration::from_secs(4);
    let dns = server.dns("", timeout);
    let names: Vec<String> = (0..300).map(|i| format!("{i}.hang.test")).collect();
    let began = Instant::now();
    let hanging = join_all(names.iter().map(|name| found(&dns, name)));
    let healthy = async {
        for name in ["both.test", "v4.test", "v6.test"] {
            assert!(found(&dns, name).await.contains('7'), "{name}");
        }
        began.elapsed()
    };
    let (hanging, healthy) = tokio::join!(hanging, healthy);
    assert!(healthy < timeout, "{healthy:?}");
    assert!(hanging.iter().all(|end| end == "for now"), "{hanging:?}");
    assert!(began.elapsed() < timeout * 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn more_names_than_may_be_looked_up_at_once_are_our_own_failure() {
    let server = NameServer::start().await;
    let Dns(shared) = server.dns("", Duration::from_millis(300));
    shared.lookups.forget_permits(511);
    let dns = Dns(shared);
    // Two look-ups use the only place one after the other; the third times out before.
    let ends = join_all(["1.hang.test", "2.hang.test", "3.hang.test"].map(|name| dns.lookup(name))).await;
    let is_local = |end: &Result<_, _>| matches!(end, Err(ResolveError::Local { .. }));
    assert!(!is_local(&ends[0]) && ends[1..].iter().any(is_local), "{ends:?}");
    // A target's look-up is more patient.
    let waiting = AtomicUsize::new(0);
    let count = |waits: bool| {
        let _ = waiting.fetch_add(usize::from(waits), Ordering::Relaxed);
    };
    let lookup = |name| dns.lookup_in_turn(name, AMPLE, count);
    let ends = join_all(["1.hang.test", "2.hang.test", "3.hang.test"].map(lookup)).await;
    assert!(!ends.iter().any(is_local), "{ends:?}");
    assert_eq!(waiting.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_name_is_asked_for_once_while_it_lives() {
    let server = NameServer::start().await;
    let dns = server.dns("", AMPLE);
    for name in ["both.test", "BOTH.test", "both.test"] {
        assert_eq!(found(&dns, name).await, "2001:db8::7 192.0.2.7");
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 2, "once a family");
    let ended = Instant::now();
    dns.0.known.lock().unwrap().values_mut().for_each(|known| known.until = ended);
    found(&dns, "both.test").await;
    assert_eq!(server.asked.load(Ordering::Relaxed), 4);
    found(&dns, "gone.test").await;
    let before = server.asked.load(Ordering::Relaxed);
    found(&dns, "gone.test").await;
    assert!(server.asked.load(Ordering::Relaxed) > before, "that a name is missing is not kept");
}

#[test]
fn search_domains_come_before_or_after_the_name_as_it_is() {
    let names = |name: &str, ndots: usize| {
        let mut config = ResolverConfig::from_name_servers(Vec::new());
        config.add_search(Name::from_ascii("a.test").unwrap());
        config.add_search(Name::from_ascii("b.test").unwrap());
        let mut options = ResolverOpts::default();
        options.ndots = ndots;
        let system = System::new(config, options, Hosts::default(), AMPLE).unwrap();
        let all = system.candidates(&Name::from_ascii(name).unwrap());
        let marked =
            all.into_iter().map(|(name, as_written)| format!("{name}{}", if as_written { "!" } else { "" }));
        marked.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("x.example", 1), "x.example.! x.example.a.test. x.example.b.test.");
    assert_eq!(names("x", 1), "x.a.test. x.b.test. x.!");
    assert_eq!(names("x.example", 5), "x.example.a.test. x.example.b.test. x.example.!");
    assert_eq!(names("x.example.", 5), "x.example.!");
}
