//! Tests the age of connections, and the guard: connections are made to the address
//! that was checked.

use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::net::{TcpListener, UdpSocket};

use super::super::certificates::Certificates;
use super::*;

#[test]
fn ages_of_connections_lie_apart_and_below_the_greatest() {
    let ages = Ages::new(Duration::from_secs(400));
    let mut all: Vec<f64> = (0..100).map(|_| ages.next().as_secs_f64()).collect();
    assert!(all.iter().all(|age| (300.0..=400.0).contains(age)), "{all:?}");
    all.sort_by(f64::total_cmp);
    let gaps = all.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.fold(0.0, f64::max) < 4.0, "some would end together: {all:?}");
}

/// A name server whose name resolves to another address from the second answer on.
async fn flipping(first: Ipv4Addr, then: Ipv4Addr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let has_answered = AtomicBool::new(false);
    tokio::spawn(async move {
        let mut packet = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let asked = Message::from_vec(&packet[..length]).unwrap();
            let query = asked.queries[0].clone();
            let mut answer = asked.into_response();
            if query.query_type() == RecordType::A {
                let ip = if has_answered.swap(true, Relaxed) { then } else { first };
                answer.answers.push(Record::from_rdata(query.name().clone(), 60, RData::A(A(ip))));
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

/// A guarded connector without an exempt host.
fn guarded(dns: Dns, permitted: &[&str]) -> Connector {
    let tls = Arc::new(Certificates::default().client_config().unwrap());
    let permitted: Arc<[IpNet]> = permitted.iter().map(|network| network.parse().unwrap()).collect();
    let shared = Shared {
        streams: Streams::Network,
        dns,
        proxies: Proxies::none(),
        tls: tls.clone(),
        tls_http1: tls,
        connect_timeout: Duration::from_secs(20),
        ages: Ages::new(Duration::from_secs(60)),
        room: Room::new(usize::MAX, usize::MAX),
        permitted: Mutex::new(permitted),
    };
    Connector { shared: Arc::new(shared), guarded_for: Some("".into()), is_http1_only: false, is_kept: true }
}

/// A name that changes between the check and the connection does not lead anywhere
/// else.
#[tokio::test]
async fn what_is_connected_to_is_what_was_checked() {
    let private = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: Uri = format!("http://flip.test:{}/", private.local_addr().unwrap().port()).parse().unwrap();
    let server = flipping(Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST).await;
    let connect = || guarded(Dns::asking(server), &["127.0.0.2/32"]).connect(uri.clone());
    // Nobody listens at the permitted address.
    let first = connect().await.map(drop).unwrap_err();
    assert!(matches!(first, ConnectError::Other { .. }), "{first}");
    // By now the name resolves to the other one.
    let second = connect().await.map(drop).unwrap_err();
    assert!(matches!(second, ConnectError::Resolve(ResolveError::Blocked { .. })), "{second}");
    assert!(private.accept().now_or_never().is_none(), "the private address was connected to");
}

/// The name server returns the address for every name, including those with the search
/// domain.
#[tokio::test]
async fn special_addresses_are_refused_but_those_of_permitted_networks() {
    let server = flipping(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).await;
    for (name, permitted, expected) in [
        ("flip.test", &[][..], false),
        ("flip.test", &["10.0.0.0/8"], false),
        ("flip.test", &["127.0.0.0/8"], true),
        // It is also at ::1.
        ("a.localhost", &["127.0.0.0/8"], false),
        ("a.localhost", &["127.0.0.0/8", "::1/128"], true),
        ("127.0.0.1", &["127.0.0.0/8"], true),
        ("[::ffff:127.0.0.1]", &["127.0.0.0/8"], false),
    ] {
        let found = guarded(Dns::asking(server), permitted).guarded_lookup(name).await;
        assert_eq!(found.is_ok(), expected, "{name} {permitted:?}: {found:?}");
    }
}
